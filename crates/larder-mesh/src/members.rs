//! The table of members: who is there, in which life, and since when it is silent.
//!
//! Members are configured, and then these and no others, or learned from other members. A member is
//! *alive* while its link carries anything, *suspect* once it has been silent for a while or its
//! link broke, *gone* after a longer while or at once when it says goodbye. A member that returns in
//! another incarnation is another life: the old one is gone first.
//!
//! Pure: time is an argument, and each change of a state is returned once.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use larder_core::Mono;

use crate::address::Address;
use crate::message::MAX_MEMBERS;
use crate::name::{Incarnation, NodeName};

/// How a member fares, as this node sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// It is heard.
    Alive,
    /// It has been silent for a while, or was never heard yet.
    Suspect,
    /// It has been silent for long, or has said goodbye.
    Gone,
}

impl State {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Alive => "alive",
            State::Suspect => "suspect",
            State::Gone => "gone",
        }
    }
}

/// One member of the table, except this node itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name.
    pub name: NodeName,
    /// Where it can be reached.
    pub address: Address,
    /// How it fares.
    pub state: State,
    /// Since when, by the clock of the runtime.
    pub since: Mono,
    /// When something of it was last read.
    pub heard: Mono,
    /// The life that was last seen of it.
    pub incarnation: Option<Incarnation>,
    /// How long the last heartbeat took there and back.
    pub round_trip: Option<Duration>,
    /// Whether it stands in the configured list.
    pub is_configured: bool,
}

/// One change of the state of a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Whose.
    pub name: NodeName,
    /// From now on.
    pub state: State,
    /// Of which life.
    pub incarnation: Option<Incarnation>,
}

/// After how long a silence what is thought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patience {
    pub(crate) suspect: Duration,
    pub(crate) gone: Duration,
    pub(crate) forget: Duration,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Members {
    patience: Patience,
    is_fixed: bool,
    members: BTreeMap<NodeName, Member>,
}

impl Members {
    /// A table that learns.
    pub(crate) fn learned(patience: Patience) -> Members {
        Members {
            patience,
            is_fixed: false,
            members: BTreeMap::new(),
        }
    }

    /// A table of exactly these, none of which was heard yet.
    pub(crate) fn fixed(
        patience: Patience,
        seats: impl Iterator<Item = (NodeName, Address)>,
        now: Mono,
    ) -> Members {
        let seat = |(name, address)| fresh(name, address, true, now);
        let members = seats.map(seat).map(|m| (m.name.clone(), m)).collect();
        Members {
            patience,
            is_fixed: true,
            members,
        }
    }

    /// How many of a configured list, this node included, are more than half of it.
    pub(crate) fn majority(&self) -> Option<usize> {
        let all = self.members.len() + 1;
        self.is_fixed.then_some(all / 2 + 1)
    }

    /// Whether a node of this name may be a member.
    pub(crate) fn admits(&self, name: &NodeName) -> Admits {
        if self.members.contains_key(name) {
            Admits::Yes
        } else if self.is_fixed {
            Admits::NotListed
        } else if self.members.len() >= MAX_MEMBERS && !self.has_gone() {
            Admits::Full
        } else {
            Admits::Yes
        }
    }

    /// Others have told of a member. A learned one is suspect until it is heard.
    pub(crate) fn learn(&mut self, name: &NodeName, address: &Address, now: Mono) {
        if let Some(member) = self.members.get_mut(name) {
            // Who has a link knows better.
            if member.state == State::Gone && !self.is_fixed {
                member.address = address.clone();
            }
        } else if self.admits(name) == Admits::Yes {
            self.add(fresh(name.clone(), address.clone(), false, now));
        }
    }

    /// A link to this life of a member is open.
    pub(crate) fn up(
        &mut self,
        name: &NodeName,
        incarnation: Incarnation,
        address: Address,
        now: Mono,
    ) -> Vec<Change> {
        if !self.members.contains_key(name) {
            self.add(fresh(name.clone(), address.clone(), false, now));
        }
        let Some(member) = self.members.get_mut(name) else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        if member.incarnation.is_some_and(|known| known != incarnation) {
            changes.extend(member.turn(State::Gone, now));
            member.round_trip = None;
        }
        member.incarnation = Some(incarnation);
        if !member.is_configured {
            member.address = address;
        }
        member.heard = member.heard.max(now);
        changes.extend(member.turn(State::Alive, now));
        changes
    }

    /// Something of a member was read at this time, over an open link.
    pub(crate) fn heard(&mut self, name: &NodeName, at: Mono, now: Mono) -> Option<Change> {
        let patience = self.patience;
        let member = self.members.get_mut(name)?;
        member.heard = member.heard.max(at);
        let is_audible = now.since(member.heard) < patience.suspect;
        is_audible.then(|| member.turn(State::Alive, now)).flatten()
    }

    /// A heartbeat has come back.
    pub(crate) fn measured(&mut self, name: &NodeName, round_trip: Duration) {
        if let Some(member) = self.members.get_mut(name) {
            member.round_trip = Some(round_trip);
        }
    }

    /// The link to a member has broken.
    pub(crate) fn lost(&mut self, name: &NodeName, now: Mono) -> Option<Change> {
        let member = self.members.get_mut(name)?;
        (member.state == State::Alive).then(|| member.turn(State::Suspect, now))?
    }

    /// A member has said goodbye.
    pub(crate) fn left(&mut self, name: &NodeName, now: Mono) -> Option<Change> {
        self.members.get_mut(name)?.turn(State::Gone, now)
    }

    /// Whether a member has not been heard lately.
    pub(crate) fn is_silent(&self, name: &NodeName, now: Mono) -> bool {
        let member = self.members.get(name);
        member
            .is_none_or(|m| m.state != State::Alive || now.since(m.heard) >= self.patience.suspect)
    }

    /// What has come of silence until now.
    pub(crate) fn tick(&mut self, now: Mono) -> Vec<Change> {
        let patience = self.patience;
        let mut changes = Vec::new();
        for member in self.members.values_mut() {
            let silence = now.since(member.heard);
            if silence >= patience.gone {
                changes.extend(member.turn(State::Gone, now));
            } else if silence >= patience.suspect && member.state == State::Alive {
                changes.extend(member.turn(State::Suspect, now));
            }
        }
        self.members.retain(|_, member| {
            let is_over = member.state == State::Gone && now.since(member.since) >= patience.forget;
            member.is_configured || !is_over
        });
        changes
    }

    /// This node itself stood still for so long: the silence was its own.
    pub(crate) fn forgive(&mut self, stood_still: Duration, now: Mono) {
        for member in self.members.values_mut() {
            if member.state != State::Gone {
                member.heard = member.heard.after(stood_still).min(now);
            }
        }
    }

    /// All members, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(crate) fn get(&self, name: &NodeName) -> Option<&Member> {
        self.members.get(name)
    }

    fn has_gone(&self) -> bool {
        self.members.values().any(Member::may_be_forgotten)
    }

    /// Adds a member; in a full table the one that is gone for longest makes room.
    fn add(&mut self, member: Member) {
        if self.members.len() >= MAX_MEMBERS {
            let gone = self.members.values().filter(|m| m.may_be_forgotten());
            let Some(oldest) = gone.min_by_key(|member| member.since) else {
                return;
            };
            let oldest = oldest.name.clone();
            self.members.remove(&oldest);
        }
        self.members.insert(member.name.clone(), member);
    }
}

/// Whether a node may be a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admits {
    Yes,
    NotListed,
    Full,
}

impl Member {
    fn may_be_forgotten(&self) -> bool {
        self.state == State::Gone && !self.is_configured
    }

    fn turn(&mut self, state: State, now: Mono) -> Option<Change> {
        if self.state == state {
            return None;
        }
        self.state = state;
        self.since = now;
        Some(Change {
            name: self.name.clone(),
            state,
            incarnation: self.incarnation,
        })
    }
}

fn fresh(name: NodeName, address: Address, is_configured: bool, now: Mono) -> Member {
    Member {
        name,
        address,
        state: State::Suspect,
        since: now,
        heard: now,
        incarnation: None,
        round_trip: None,
        is_configured,
    }
}
