//! Under what conditions near copies may be used, as the bus link last said.

use larder_core::lane::LEASE;
use larder_core::mutant::Mutant;
use larder_core::runtime::Mono;

use crate::epoch::Epoch;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Written by the link, read by every hit: apart from what else a hit reads.
#[repr(align(128))]
pub(crate) struct View {
    epoch: Epoch,
    lease_until: AtomicU64,
    /// The generation of the lane that is followed.
    generation: AtomicU32,
    follows_bus: bool,
}

impl View {
    /// For a cache that nobody else changes, or that is content with its ttl: always usable. Where
    /// there is a remote tier, nothing that is remembered here says what that says.
    pub(crate) fn unfenced(epoch: Epoch) -> View {
        View {
            epoch,
            lease_until: AtomicU64::new(Mono::MAX.0),
            generation: AtomicU32::new(0),
            follows_bus: false,
        }
    }

    /// For the only cache of a store that nobody else can reach: whatever changes, it hears of.
    pub(crate) fn sole(epoch: Epoch) -> View {
        View {
            follows_bus: true,
            ..View::unfenced(epoch)
        }
    }

    /// For a cache on a bus, before its first lease.
    pub(crate) fn fenced(epoch: Epoch) -> View {
        View {
            epoch,
            lease_until: AtomicU64::new(0),
            generation: AtomicU32::new(0),
            follows_bus: true,
        }
    }

    /// Rises whenever something was made void without being named.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.get()
    }

    #[inline]
    pub(crate) fn is_leased(&self, now: Mono) -> bool {
        now.0 < self.lease_until.load(Ordering::Acquire) || Mutant::IgnoreLease.is_active()
    }

    /// Until when what was asked for at `asked` may be used without a lease. What the bus vouched
    /// for, tags and areas, is known only as of the poll that earned its lease.
    pub(crate) fn proven_until(&self, asked: Mono) -> Mono {
        let leased = Mono(self.lease_until.load(Ordering::Acquire));
        let alone = asked.after(LEASE);
        if leased > asked && !Mutant::ProvenAlone.is_active() {
            alone.min(leased)
        } else {
            alone
        }
    }

    /// As of when a copy that may be used now holds at least, if it may be used alone up to
    /// `proven_until`.
    pub(crate) fn as_of(&self, proven_until: Mono, now: Mono) -> Mono {
        let leased = Mono(self.lease_until.load(Ordering::Acquire));
        let lease = u64::try_from(LEASE.as_nanos()).unwrap_or(u64::MAX);
        Mono(leased.max(proven_until).0.saturating_sub(lease)).min(now)
    }

    /// Whether everything is known that others changed until a moment ago: not only that copies may
    /// be used, which a cache without a bus always says.
    pub(crate) fn is_current(&self, now: Mono) -> bool {
        self.follows_bus && self.is_leased(now)
    }

    /// Takes the generation of the lane; whether it is another one than before.
    pub(crate) fn enter(&self, generation: u32) -> bool {
        self.generation.swap(generation, Ordering::AcqRel) != generation
    }

    /// For what else makes copies void.
    pub(crate) fn shared_epoch(&self) -> Epoch {
        self.epoch.clone()
    }

    pub(super) fn begin_epoch(&self) -> u64 {
        self.epoch.begin()
    }

    pub(crate) fn set_lease(&self, until: Mono) {
        self.lease_until.store(until.0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_lease_nothing_outlives_what_the_bus_knew_when_it_was_read() {
        let view = View::fenced(Epoch::default());
        let (asked, never) = (Mono(5_000_000_000), Mono(0));
        let ms = |ms: u64| Mono(ms * 1_000_000);
        for (leased, proven) in [
            (never, ms(6_000)),
            // It has run out before: whatever is needed was asked for too.
            (ms(4_999), ms(6_000)),
            (ms(5_001), ms(5_001)),
            (ms(5_750), ms(5_750)),
            (ms(6_200), ms(6_000)),
        ] {
            view.set_lease(leased);
            assert_eq!(view.proven_until(asked), proven, "{leased:?}");
        }
        assert_eq!(
            View::unfenced(Epoch::default()).proven_until(asked),
            ms(6_000)
        );
    }
}
