//! Under what conditions near copies may be used, as the bus link last said.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use larder_core::runtime::Mono;

/// Written by the link, read by every hit.
pub(crate) struct View {
    is_followed: bool,
    generation: AtomicU32,
    lease_until: AtomicU64,
}

impl View {
    /// For a cache that nobody else changes, or that is content with its ttl: always usable.
    pub(crate) fn unfenced() -> View {
        View {
            is_followed: true,
            generation: AtomicU32::new(0),
            lease_until: AtomicU64::new(Mono::MAX.0),
        }
    }

    /// For a cache that others change, and that does not want to hear of it: always usable, and
    /// nothing that is remembered here says what the remote tier says.
    pub(crate) fn unfollowed() -> View {
        View {
            is_followed: false,
            ..View::unfenced()
        }
    }

    /// For a cache on a bus, before its first lease.
    pub(crate) fn fenced() -> View {
        View {
            is_followed: true,
            generation: AtomicU32::new(0),
            lease_until: AtomicU64::new(0),
        }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn is_leased(&self, now: Mono) -> bool {
        now.0 < self.lease_until.load(Ordering::Acquire)
    }

    /// Whether all that others have changed, up to a short while ago, is known here.
    pub(crate) fn is_current(&self, now: Mono) -> bool {
        self.is_followed && self.is_leased(now)
    }

    /// Copies of other generations are void from here on. Whoever calls this must then refuse
    /// what is being read (`Near::change_all`), and only then grant a lease.
    pub(super) fn set_generation(&self, generation: u32) {
        self.generation.store(generation, Ordering::Release);
    }

    pub(crate) fn set_lease(&self, until: Mono) {
        self.lease_until.store(until.0, Ordering::Release);
    }
}
