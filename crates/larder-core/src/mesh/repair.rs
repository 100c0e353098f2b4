//! Gaps: what is known to exist and is not logged here is asked for, from anybody who has it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::copies::MAX_LANES;
use super::{FlushReason, LaneId, Membership, Mesh, Message, NodeId, Notice, Output, Positions};
use crate::mutant::Mutant;
use crate::runtime::Mono;

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Repairs(BTreeMap<LaneId, Gap>);

/// A lane of which something is missing.
#[derive(Clone, Debug, Hash)]
struct Gap {
    since: Mono,
    /// Who was asked last, when, and whether an answer is still awaited.
    asked: Option<(NodeId, Mono)>,
    is_awaited: bool,
    /// Who does not have the first missing record any more.
    refused: BTreeSet<NodeId>,
}

impl Repairs {
    /// Who is not connected does not answer.
    pub(super) fn lost(&mut self, node: NodeId) {
        for gap in self.0.values_mut() {
            gap.refused.remove(&node);
            if gap.asked.is_some_and(|(asked, _)| asked == node) {
                gap.is_awaited = false;
            }
        }
    }

    /// A member no longer has the first missing record.
    pub(super) fn refused(&mut self, lane: LaneId, node: NodeId) {
        if let Some(gap) = self.0.get_mut(&lane) {
            gap.refused.insert(node);
            gap.is_awaited = false;
        }
    }

    /// Something was logged.
    pub(super) fn progressed(&mut self, lane: LaneId) {
        if let Some(gap) = self.0.get_mut(&lane) {
            gap.refused.clear();
            gap.is_awaited = false;
        }
    }
}

impl Mesh {
    /// A member said what it has logged.
    pub(super) fn heard(&mut self, node: NodeId, have: &Positions) {
        let me = self.me;
        let Some(peer) = self.peers.get_mut(&node) else {
            return;
        };
        let mut reminders = Positions::new();
        for (lane, seq) in have.iter().filter(|(lane, _)| *lane != me) {
            let known = peer.have.entry(*lane).or_default();
            *known = (*known).max(*seq);
            // It still wants to know who has all of a lane that is not named here any more.
            let logged = self.copies.logged(*lane);
            if self.copies.is_retired(*lane) && peer.reminded.insert(*lane, logged) != Some(logged)
            {
                reminders.push((*lane, logged));
            }
        }
        if peer.have.len() > 2 * MAX_LANES {
            peer.have = have.iter().copied().collect();
        }
        if peer.reminded.len() > MAX_LANES {
            peer.reminded.clear();
        }
        if !reminders.is_empty() {
            self.send(node, Message::Have(reminders));
        }
    }

    /// A member wants records.
    pub(super) fn give(&mut self, node: NodeId, lane: LaneId, first: u64, last: u64) {
        let records: Vec<Bytes> = self.copies.page(lane, first, last);
        let message = if records.is_empty() {
            Message::Missing { lane, first }
        } else {
            Message::Records {
                lane,
                first,
                round: if lane == self.me {
                    self.votes.round()
                } else {
                    0
                },
                records,
            }
        };
        self.send(node, message);
    }

    /// The newest record of a lane that is known to exist.
    pub(super) fn newest(&self, lane: LaneId) -> u64 {
        let up = self.peers.values().filter(|peer| peer.is_up);
        let named = up.filter_map(|peer| peer.have.get(&lane)).max();
        let beyond = self.copies.beyond(lane).map(|(_, last)| last);
        named.copied().max(beyond).unwrap_or(0)
    }

    /// Asks for what is missing, and gives up what nobody has.
    pub(super) fn repair(&mut self, now: Mono) {
        let mut lanes: BTreeSet<LaneId> = self.repairs.0.keys().copied().collect();
        let named = self.peers.values().filter(|peer| peer.is_up);
        for (lane, seq) in named.flat_map(|peer| &peer.have) {
            if *seq > self.copies.logged(*lane) {
                lanes.insert(*lane);
            }
        }
        let beyond = self.copies.active();
        lanes.extend(
            beyond
                .into_iter()
                .filter(|lane| self.copies.beyond(*lane).is_some()),
        );
        for lane in lanes {
            self.repair_lane(now, lane);
        }
    }

    /// Does the same for one lane.
    pub(super) fn repair_lane(&mut self, now: Mono, lane: LaneId) {
        let (logged, newest) = (self.copies.logged(lane), self.newest(lane));
        let is_ignored = lane == self.me || Mutant::IgnoreLaneGaps.is_active();
        if newest <= logged || is_ignored {
            self.repairs.0.remove(&lane);
            return;
        }
        let gap = self.repairs.0.entry(lane).or_insert_with(|| Gap {
            since: now,
            asked: None,
            is_awaited: false,
            refused: BTreeSet::new(),
        });
        let is_due = |(_, at): (NodeId, Mono)| now >= at.after(self.settings.retry);
        if now < gap.since.after(self.settings.grace)
            || (gap.is_awaited && !gap.asked.is_some_and(is_due))
        {
            return;
        }
        let has = |node: &NodeId| {
            let peer = self.peers.get(node).filter(|peer| peer.is_up);
            peer.and_then(|peer| peer.have.get(&lane))
                .is_some_and(|seq| *seq > logged)
        };
        let able: Vec<NodeId> = self.peers.keys().copied().filter(has).collect();
        let willing = able.iter().filter(|node| !gap.refused.contains(node));
        // Whoever was asked in vain comes last.
        let last = gap.asked.map(|(node, _)| node);
        let next = willing.min_by_key(|node| (Some(**node) == last, **node != lane.node, **node));
        if let Some(node) = next.copied() {
            let is_first = gap.asked.is_none();
            gap.asked = Some((node, now));
            gap.is_awaited = true;
            let last = self.copies.beyond(lane).map_or(newest, |(last, _)| last);
            let first = logged + 1;
            self.send(node, Message::Range { lane, first, last });
            if is_first {
                let notice = Notice::Gap { lane, first, last };
                self.outputs.push_back(Output::Notice(notice));
            }
            return;
        }
        // Nobody who is there has it. If somebody is not there who may, wait for some time; a
        // minority waits until it is none, because its copies cannot be used anyway.
        let is_over = now >= gap.since.after(self.settings.give_up) && self.is_majority();
        if !able.is_empty() || is_over {
            self.repairs.0.remove(&lane);
            if !Mutant::IgnoreLaneTrim.is_active() {
                self.flush(FlushReason::Trimmed(lane));
            }
            self.copies.jump(lane, newest);
            self.confirm(lane.node);
        }
    }

    /// Lanes of former lives of which all members have all are named no more.
    pub(super) fn retire(&mut self) {
        for lane in self.copies.active() {
            if self.may_retire(lane) {
                self.copies.retire(lane);
            }
        }
        let (copies, peers) = (&self.copies, &mut self.peers);
        let active = copies.active();
        for peer in peers.values_mut() {
            peer.have.retain(|lane, seq| {
                active.binary_search(lane).is_ok() || *seq > copies.logged(*lane)
            });
        }
    }

    fn may_retire(&self, lane: LaneId) -> bool {
        let logged = self.copies.logged(lane);
        let is_current = |peer: &super::Peer| peer.boot == lane.boot;
        let is_live = lane == self.me || self.peers.get(&lane.node).is_some_and(is_current);
        let all_there = match &self.settings.membership {
            Membership::Configured(members) => {
                let up = self.peers.values().filter(|peer| peer.is_up).count();
                up + 1 == members.len()
            }
            Membership::Learned => true,
        };
        let mut up = self.peers.values().filter(|peer| peer.is_up);
        let all_have = up.all(|peer| peer.have.get(&lane) == Some(&logged));
        let retires = (all_there && all_have) || Mutant::RetireEarly.is_active();
        !is_live && retires && self.copies.beyond(lane).is_none()
    }
}
