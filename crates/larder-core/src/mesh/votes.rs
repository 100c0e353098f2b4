//! Who has logged the changes of this member, and when that is enough.
//!
//! A vote is worth something only as long as its giver remembers. One that has been restarted may
//! ask others what it has forgotten, and be counted by readers without any harm to them, because a
//! majority shares a member with those that were asked. That argument fails if the majority is
//! completed *later*, with a vote of the former life. So: whoever tells a new life what it has says
//! so to all others first ([`Message::Met`]), and whoever hears of a life that it did not know asks
//! for all votes again. The former life cannot give its vote again.

use std::collections::{BTreeMap, VecDeque};

use super::{LaneId, MAX_MEMBERS, Mesh, Message, NodeId, Output};
use crate::mutant::Mutant;
use crate::runtime::Mono;

/// Lives of one member that are remembered. An older one that comes up again only costs another
/// round of votes.
const LIVES: usize = 8;

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Votes {
    round: u64,
    /// Changes that wait to be acknowledged, in order, each with the end of its time.
    waiting: VecDeque<(u64, Mono)>,
    /// Lives of others that were heard of, the newest last.
    met: BTreeMap<NodeId, VecDeque<u64>>,
    /// The newest rounds that others have called.
    called: BTreeMap<LaneId, u64>,
}

impl Votes {
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn wait(&mut self, seq: u64, until: Mono) {
        self.waiting.push_back((seq, until));
    }

    /// Changes whose time is over; they wait no longer.
    pub(super) fn expired(&mut self, now: Mono) -> Vec<u64> {
        let mut expired = Vec::new();
        while let Some((seq, until)) = self.waiting.front().copied()
            && until <= now
        {
            self.waiting.pop_front();
            expired.push(seq);
        }
        expired
    }

    /// Another member wants all votes again.
    pub(super) fn called(&mut self, life: LaneId, round: u64) {
        self.called
            .retain(|other, _| other.node != life.node || *other == life);
        let newest = self.called.entry(life).or_default();
        *newest = (*newest).max(round);
    }

    /// Whether this life had not been heard of.
    fn is_new(&mut self, life: LaneId) -> bool {
        if self.met.len() >= MAX_MEMBERS && !self.met.contains_key(&life.node) {
            self.met.pop_first();
        }
        let lives = self.met.entry(life.node).or_default();
        if lives.contains(&life.boot) {
            return false;
        }
        if lives.len() == LIVES {
            lives.pop_front();
        }
        lives.push_back(life.boot);
        true
    }
}

impl Mesh {
    /// This member has heard of a life of another one, from itself or from others.
    pub(super) fn met(&mut self, life: LaneId) {
        if life.node == self.me.node || !self.votes.is_new(life) {
            return;
        }
        self.votes.round += 1;
        // Else the next change calls the round.
        if !self.votes.waiting.is_empty() {
            let round = self.votes.round;
            self.send_to_all(&Message::Confirm { round });
        }
    }

    /// Tells a member how far its lane is logged here.
    pub(super) fn confirm(&mut self, node: NodeId) {
        let Some(boot) = self.peers.get(&node).map(|peer| peer.boot) else {
            return;
        };
        let life = LaneId { node, boot };
        let logged = Message::Logged {
            seq: self.copies.logged(life),
            round: self.votes.called.get(&life).copied().unwrap_or(0),
        };
        self.send(node, logged);
    }

    /// Looks which changes are known to enough members.
    pub(super) fn count_votes(&mut self) {
        if self.votes.waiting.is_empty() {
            return;
        }
        let own = self.copies.logged(self.me);
        let enough = match self.majority() {
            Some((_, majority)) => {
                let round = self.votes.round;
                let counts = |round_of: u64| round_of == round || Mutant::IgnoreRounds.is_active();
                let votes = self.peers.values().filter(|peer| counts(peer.round));
                let mut logged: Vec<u64> = votes.map(|peer| peer.logged).collect();
                logged.push(own);
                logged.sort_unstable_by(|a, b| b.cmp(a));
                let needed = if Mutant::AcknowledgeEarly.is_active() {
                    1
                } else {
                    majority
                };
                logged.get(needed - 1).copied().unwrap_or(0)
            }
            None => {
                let up = self.peers.values().filter(|peer| peer.is_up);
                up.map(|peer| peer.logged).fold(own, u64::min)
            }
        };
        let mut acknowledged = None;
        while let Some((seq, _)) = self.votes.waiting.front().copied()
            && seq <= enough
        {
            self.votes.waiting.pop_front();
            acknowledged = Some(seq);
        }
        let told = acknowledged.map(|seq| Output::Acknowledged { seq });
        self.outputs.extend(told);
    }
}
