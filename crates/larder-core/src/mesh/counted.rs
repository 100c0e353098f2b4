//! Which lives of members a reader counts, and what a member must learn after its start so that
//! nobody has to drop anything for it.
//!
//! What a member has logged dies with it. A reader that counts the next life of it as if it were the
//! same could miss a change that only the former life had logged of those who answer. So a life is
//! counted only if this holds of every acknowledged change that a former life of the same member had
//! logged: *it is applied here, or older than all copies here.* There are two ways to know that.
//!
//! * All copies of this reader were dropped after the life had begun. Whatever the former life had
//!   logged was in the source before, and so is in everything that was read since.
//! * `n - m + 1` others, in lives that are counted here, had told it all that they had (`n` members,
//!   `m` a majority) before it answered. One of them is of the majority that acknowledged the change.
//!   Either it told the new life, which then named the change in the answer that is counted; or it
//!   had logged the change in a life before the one that is counted here, of which the above holds
//!   already. (That it logs the change afterwards, and so completes a majority together with the vote
//!   of the former life, is what the rounds of [`super::votes`] prevent.)

use std::collections::BTreeMap;

use super::message::{Answer, Hello, Told};
use super::polls::Known;
use super::{LaneId, Mesh, Message, NodeId, Notice, Output, Positions};
use crate::mutant::Mutant;

/// The lives that are counted here, one for each member.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Counted(BTreeMap<NodeId, Trusted>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
struct Trusted {
    boot: u64,
    forgot: u32,
}

impl Counted {
    /// Whether an answer may be counted as things are.
    pub(super) fn admits(&self, me: LaneId, known: &Known, members: usize) -> bool {
        if self.has(known.life, known.forgot) {
            return true;
        }
        let needed = needed(members);
        let others = |told: &&Told| told.by.node != known.life.node && self.vouches(me, told);
        !known.claim.is_empty() && known.claim.iter().filter(others).count() >= needed
    }

    fn has(&self, life: LaneId, forgot: u32) -> bool {
        let trusted = self.0.get(&life.node);
        trusted.is_some_and(|trusted| trusted.boot == life.boot && trusted.forgot == forgot)
    }

    /// Whether what this member told another, when it did, covers what is needed here.
    fn vouches(&self, me: LaneId, told: &Told) -> bool {
        // No copy here is older than this life.
        told.by == me || self.has(told.by, told.forgot) || Mutant::TrustAnyClaim.is_active()
    }

    /// Counts a life from now on.
    pub(super) fn count(&mut self, life: LaneId, forgot: u32) {
        let trusted = Trusted {
            boot: life.boot,
            forgot,
        };
        self.0.insert(life.node, trusted);
    }
}

/// How many others share a member with every majority.
fn needed(members: usize) -> usize {
    if Mutant::SyncFromTooFew.is_active() {
        return 1;
    }
    members - (members / 2 + 1) + 1
}

/// What this member learns after its start.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Sync {
    told: BTreeMap<NodeId, (Told, Positions)>,
    /// Made once in a life; empty before, and after lanes were forgotten.
    pub(super) claim: Vec<Told>,
    is_claimed: bool,
}

impl Mesh {
    /// A member has told this one all that it has.
    pub(super) fn told(&mut self, by: LaneId, hello: Hello) {
        if self.sync.is_claimed || self.majority().is_none() {
            return;
        }
        let told = Told {
            by,
            forgot: hello.forgot,
        };
        let missing = self.missing(hello.have);
        self.sync.told.insert(by.node, (told, missing));
    }

    /// Looks whether enough others have told this member what they have.
    pub(super) fn claim(&mut self) {
        let Some((members, _)) = self.majority() else {
            return;
        };
        if self.sync.is_claimed {
            return;
        }
        let told = self.sync.told.values();
        let has_all = |missing| self.copies.has_all(missing) || Mutant::ClaimUnlogged.is_active();
        let done = told.filter(|(_, missing)| has_all(missing));
        let claim: Vec<Told> = done.map(|(told, _)| *told).collect();
        if claim.len() < needed(members) {
            return;
        }
        self.sync.claim = claim;
        self.sync.is_claimed = true;
        self.sync.told.clear();
        self.outputs.push_back(Output::Notice(Notice::Synced));
        for (node, nonce) in self.unclaimed() {
            let answer = Answer {
                nonce,
                forgot: self.forgot,
                claim: self.sync.claim.clone(),
                have: self.copies.vector(),
            };
            self.send(node, Message::Answer(answer));
        }
    }

    /// Who was answered while there was no claim.
    fn unclaimed(&mut self) -> Vec<(NodeId, u64)> {
        let peers = self.peers.iter_mut().filter(|(_, peer)| peer.is_up);
        peers
            .filter_map(|(node, peer)| Some((*node, peer.asked.take()?)))
            .collect()
    }
}
