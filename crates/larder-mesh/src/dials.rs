//! Whom to dial, and when: every address that was ever named, with its pauses.
//!
//! An address whose node is known and linked is left alone. Of two nodes that learn of each other
//! by others, the one with the smaller name dials at once and the other a little later, so that one
//! dial is usually enough. Failures make the pause longer, with jitter.
//!
//! Pure: time and chance are arguments; what to dial is returned.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use larder_core::Mono;

use crate::address::Address;
use crate::name::NodeName;

/// LIMIT: addresses that are remembered: the members that a table holds, twice over, since a node
/// may be known by several.
const MAX_ADDRESSES: usize = 512;

const FIRST: Duration = Duration::from_millis(50);
/// Also how long a node that is back may go unnoticed.
const LONGEST: Duration = Duration::from_secs(2);
/// For those who are gone, who refuse us, or who left.
const RARELY: Duration = Duration::from_secs(10);
/// For this node's own addresses: another node may get one of them some day.
const OWN: Duration = Duration::from_secs(60);
/// How long the node with the greater name leaves the dial to the other.
const AFTER_YOU: Duration = Duration::from_millis(300);

/// Who named an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Origin {
    /// Configuration, or a call: dialled for ever.
    Given,
    /// The name service, for as long as it does.
    Dns,
    /// Other members, for as long as the member is remembered.
    Told,
}

/// How a dial ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// There is a link, or was.
    Linked,
    /// Nobody was there, or the greeting broke off.
    Failed,
    /// The other does not want us.
    Refused,
    /// It was this node itself.
    Itself,
}

#[derive(Clone, Debug)]
struct Target {
    origins: Vec<Origin>,
    /// The node that was last found there, or is said to be there.
    name: Option<NodeName>,
    failures: u32,
    next: Mono,
    is_dialling: bool,
}

/// All addresses.
#[derive(Debug)]
pub(crate) struct Dials {
    me: NodeName,
    /// Whether the members are a list, which alone says where they are.
    is_fixed: bool,
    targets: BTreeMap<Address, Target>,
}

impl Dials {
    pub(crate) fn new(me: NodeName) -> Dials {
        Dials {
            me,
            is_fixed: false,
            targets: BTreeMap::new(),
        }
    }

    /// The addresses of a configured list. Others cannot add any to them.
    pub(crate) fn fixed(
        me: NodeName,
        seats: impl Iterator<Item = (NodeName, Address)>,
        now: Mono,
    ) -> Dials {
        let mut dials = Dials::new(me);
        for (name, address) in seats {
            dials.told(&name, &address, now);
        }
        dials.is_fixed = true;
        dials
    }

    /// An address to be dialled at once.
    pub(crate) fn name(&mut self, address: &Address, origin: Origin, now: Mono) {
        if let Some(target) = self.target(address, origin, now) {
            // Whoever gives an address by hand does not want to wait for a pause to end.
            if origin == Origin::Given {
                target.next = target.next.min(now);
                target.failures = 0;
            }
        }
    }

    /// Another member says that it has a link to the node of this name. Of a configured list its own
    /// address is dialled sooner, and no other.
    pub(crate) fn told(&mut self, name: &NodeName, address: &Address, now: Mono) {
        if *name == self.me {
            return;
        }
        if self.is_fixed {
            let seats = self.targets.values_mut();
            let of_it = seats.filter(|target| target.name.as_ref() == Some(name));
            return of_it.for_each(|target| target.next = target.next.min(now.after(LONGEST)));
        }
        let pause = if self.me < *name {
            Duration::ZERO
        } else {
            AFTER_YOU
        };
        if let Some(target) = self.target(address, Origin::Told, now.after(pause)) {
            target.name = Some(name.clone());
            // It was seen just now, so a long pause is none of its fault.
            target.next = target.next.min(now.after(LONGEST));
        }
    }

    /// What the name service says now; what it said before and does not say now is no longer
    /// dialled, unless somebody else named it.
    pub(crate) fn resolved(&mut self, gone: &[Address], found: &[Address], now: Mono) {
        for address in gone {
            if let Some(target) = self.targets.get_mut(address) {
                target.origins.retain(|origin| *origin != Origin::Dns);
            }
        }
        for address in found {
            self.name(address, Origin::Dns, now);
        }
        self.drop_unnamed();
    }

    /// Members were forgotten: only these are remembered.
    pub(crate) fn keep(&mut self, is_remembered: impl Fn(&NodeName) -> bool) {
        for target in self.targets.values_mut() {
            let is_known = target.name.as_ref().is_some_and(&is_remembered);
            target
                .origins
                .retain(|origin| *origin != Origin::Told || is_known);
        }
        self.drop_unnamed();
    }

    /// The addresses to dial now; each is being dialled until [`Dials::ended`].
    pub(crate) fn due(&mut self, now: Mono, is_linked: impl Fn(&NodeName) -> bool) -> Vec<Address> {
        let mut due = Vec::new();
        for (address, target) in &mut self.targets {
            let is_linked = target.name.as_ref().is_some_and(&is_linked);
            if !target.is_dialling && !is_linked && target.next <= now {
                target.is_dialling = true;
                due.push(address.clone());
            }
        }
        due
    }

    /// A dial has ended, with whoever was found.
    pub(crate) fn ended(
        &mut self,
        address: &Address,
        ended: Ended,
        found: Option<&NodeName>,
        is_gone: bool,
        (now, random): (Mono, u64),
    ) {
        let Some(target) = self.targets.get_mut(address) else {
            return;
        };
        target.is_dialling = false;
        if found.is_some() {
            target.name = found.cloned();
        }
        let pause = match ended {
            Ended::Linked => FIRST,
            Ended::Failed => pause(target.failures, if is_gone { RARELY } else { LONGEST }),
            Ended::Refused => pause(target.failures.max(5), RARELY),
            Ended::Itself => OWN,
        };
        target.failures = match ended {
            Ended::Linked => 0,
            _ => target.failures.saturating_add(1),
        };
        target.next = now.after(shortened(pause, random));
        self.drop_unnamed();
    }

    /// A link to this node broke: its addresses are dialled again, soon, or rarely if it left.
    pub(crate) fn lost(&mut self, name: &NodeName, has_left: bool, now: Mono, random: u64) {
        let pause = if has_left { RARELY } else { FIRST };
        let wait = now.after(shortened(pause, random));
        for target in self.targets.values_mut() {
            if target.name.as_ref() == Some(name) {
                target.failures = 0;
                target.next = wait;
            }
        }
    }

    fn target(&mut self, address: &Address, origin: Origin, next: Mono) -> Option<&mut Target> {
        if self.targets.len() >= MAX_ADDRESSES && !self.targets.contains_key(address) {
            return None;
        }
        let target = self.targets.entry(address.clone());
        let target = target.or_insert_with(|| Target {
            origins: Vec::new(),
            name: None,
            failures: 0,
            next,
            is_dialling: false,
        });
        if !target.origins.contains(&origin) {
            target.origins.push(origin);
        }
        Some(target)
    }

    fn drop_unnamed(&mut self) {
        self.targets
            .retain(|_, target| target.is_dialling || !target.origins.is_empty());
    }
}

/// The pause after so many failures before this one.
fn pause(failures: u32, longest: Duration) -> Duration {
    FIRST.saturating_mul(1 << failures.min(10)).min(longest)
}

/// Shorter by a random part of up to a half, so that those who wait do not all come at once.
fn shortened(pause: Duration, random: u64) -> Duration {
    let half = pause / 2;
    half + half.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
}
