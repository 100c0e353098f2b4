//! The stripes of the near guard. See [`larder_core::admit`] for what they decide.

use larder_core::admit::Stripe;

use crate::sync::{Mutex, MutexGuard};

/// False refusals fall with the number of stripes: one in so many keys shares a stripe with a
/// key that changes while it is being read.
const STRIPES: usize = if cfg!(feature = "shuttle") { 2 } else { 1024 };

pub(super) struct Guard {
    stripes: Box<[Mutex<Stripe>]>,
}

impl Default for Guard {
    fn default() -> Guard {
        Guard {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Guard {
    /// The locked stripe of a key.
    pub(super) fn stripe(&self, hash: u64) -> MutexGuard<'_, Stripe> {
        self.stripes[(hash >> 16) as usize % STRIPES].lock()
    }
}
