//! Polls: asking all members what they have logged, and waiting until it is applied here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::message::Answer;
use super::{
    FlushReason, LaneId, MAX_POLLS, Mesh, Message, NodeId, Output, PollId, Positions, Refused, Told,
};
use crate::mutant::Mutant;
use crate::runtime::Mono;

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Polls {
    last: u64,
    open: VecDeque<Poll>,
}

#[derive(Clone, Debug, Hash)]
struct Poll {
    id: PollId,
    sent: Mono,
    answers: BTreeMap<NodeId, Known>,
}

/// What a member has answered.
#[derive(Clone, Debug, Hash)]
pub(super) struct Known {
    pub(super) life: LaneId,
    pub(super) forgot: u32,
    pub(super) claim: Vec<Told>,
    /// What it named and is not logged here.
    pub(super) missing: Positions,
}

impl Polls {
    /// Polls whose time is over.
    pub(super) fn expired(&mut self, now: Mono, within: Duration) -> Vec<PollId> {
        let mut expired = Vec::new();
        self.open.retain(|poll| {
            let is_over = now >= poll.sent.after(within);
            if is_over {
                expired.push(poll.id);
            }
            !is_over
        });
        expired
    }
}

impl Mesh {
    /// Asks all members what they have logged. `now` must not be later than the moment at which the
    /// messages that come out of this are sent. [`Output::PollDone`] or [`Output::PollFailed`]
    /// follows. One round trip to the slowest member of the fastest majority, and one more for what
    /// is missing.
    pub fn poll(&mut self, now: Mono) -> Result<PollId, Refused> {
        if self.polls.open.len() >= MAX_POLLS {
            return Err(Refused::Full);
        }
        self.polls.last += 1;
        let id = PollId(self.polls.last);
        self.polls.open.push_back(Poll {
            id,
            sent: now,
            answers: BTreeMap::new(),
        });
        self.send_to_all(&Message::Ask { nonce: id.0 });
        self.settle(now);
        Ok(id)
    }

    /// What was asked over a connection that is lost may not have been heard.
    pub(super) fn ask_again(&mut self, node: NodeId) {
        let open = self
            .polls
            .open
            .iter()
            .filter(|poll| !poll.answers.contains_key(&node));
        let nonces: Vec<u64> = open.map(|poll| poll.id.0).collect();
        for nonce in nonces {
            self.send(node, Message::Ask { nonce });
        }
    }

    /// A member asks what is logged here.
    pub(super) fn answer(&mut self, node: NodeId, nonce: u64) {
        let answer = Answer {
            nonce,
            forgot: self.forgot,
            claim: self.sync.claim.clone(),
            have: self.copies.vector(),
        };
        let is_synced = !answer.claim.is_empty();
        self.send(node, Message::Answer(answer));
        // Once there is a claim, the answer is given again with it.
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.asked = Some(nonce).filter(|_| !is_synced);
        }
    }

    /// A member has answered.
    pub(super) fn answered(&mut self, life: LaneId, answer: Answer) {
        self.heard(life.node, &answer.have);
        let forgot = answer.forgot;
        self.peers
            .entry(life.node)
            .and_modify(|peer| peer.forgot = forgot);
        let mut missing = self.missing(answer.have);
        if Mutant::IgnoreVector.is_active() {
            missing.clear();
        }
        let known = Known {
            life,
            forgot: answer.forgot,
            claim: answer.claim,
            missing,
        };
        let is_asked =
            |poll: &&mut Poll| poll.id.0 == answer.nonce || Mutant::IgnoreNonce.is_active();
        if let Some(poll) = self.polls.open.iter_mut().rfind(is_asked) {
            poll.answers.insert(life.node, known);
        }
    }

    /// The part of a vector that is not logged here.
    pub(super) fn missing(&self, mut positions: Positions) -> Positions {
        positions.retain(|(lane, seq)| self.copies.logged(*lane) < *seq);
        positions
    }

    /// Looks which polls are done.
    pub(super) fn finish_polls(&mut self, now: Mono) {
        let mut open = std::mem::take(&mut self.polls.open);
        open.retain(|poll| {
            if !self.is_done(now, poll) {
                return true;
            }
            let from = if Mutant::LeaseFromReceipt.is_active() {
                now
            } else {
                poll.sent
            };
            self.lease_until = self.lease_until.max(from.after(self.settings.lease));
            self.outputs.push_back(Output::PollDone {
                poll: poll.id,
                sent: poll.sent,
            });
            false
        });
        self.polls.open = open;
    }

    fn is_done(&mut self, now: Mono, poll: &Poll) -> bool {
        let is_ready = |known: &&Known| self.copies.has_all(&known.missing);
        let ready: Vec<&Known> = poll.answers.values().filter(is_ready).collect();
        let Some((members, majority)) = self.majority() else {
            let mut up = self.peers.iter().filter(|(_, peer)| peer.is_up);
            return up.all(|(node, _)| ready.iter().any(|known| known.life.node == *node));
        };
        let majority = if Mutant::PollMinority.is_active() {
            1
        } else {
            majority
        };
        let me = self.me;
        let (good, new): (Vec<&Known>, Vec<&Known>) = ready
            .into_iter()
            .partition(|known| self.counted.admits(me, known, members));
        if good.len() + 1 >= majority {
            good.into_iter()
                .for_each(|known| self.counted.count(known.life, known.forgot));
            return true;
        }
        let is_patient = now < poll.sent.after(self.settings.patience);
        if good.len() + new.len() + 1 < majority || is_patient {
            return false;
        }
        // First nothing is left that it may have forgotten, then it is counted.
        if let Some(known) = new.first()
            && !Mutant::CountNewLife.is_active()
        {
            self.flush(FlushReason::NewLife(known.life));
        }
        good.into_iter()
            .for_each(|known| self.counted.count(known.life, known.forgot));
        new.into_iter()
            .for_each(|known| self.counted.count(known.life, known.forgot));
        true
    }
}
