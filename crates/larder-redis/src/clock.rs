//! The server's clock, as known here: never behind it.

use std::sync::Arc;
use std::time::Duration;

use larder_core::runtime::{Mono, Runtime, Timestamp};
use parking_lot::Mutex;

/// How old a sample may be before the next read asks for a new one: over this time two clocks
/// drift apart by far less than a millisecond, so this only bounds how late a step is noticed.
const SAMPLE_LIFE: Duration = Duration::from_millis(250);

/// Samples of the server's clock, carried on by the local monotonic one.
pub(crate) struct Clock {
    runtime: Arc<dyn Runtime>,
    sample: Mutex<Option<Sample>>,
}

#[derive(Clone, Copy)]
struct Sample {
    /// When the question was sent, not when the answer came: the server answered later than
    /// that, so time counted from here is never less than what has passed there.
    sent: Mono,
    server: Timestamp,
}

impl Clock {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Clock {
        Clock {
            runtime,
            sample: Mutex::new(None),
        }
    }

    /// The moment to give to [`Clock::record`] with the answer.
    pub(crate) fn sending(&self) -> Mono {
        self.runtime.now()
    }

    /// Takes the server's time from the answer to a question sent at `sent`.
    pub(crate) fn record(&self, sent: Mono, server: Timestamp) {
        let mut sample = self.sample.lock();
        if sample.is_none_or(|known| known.sent <= sent) {
            *sample = Some(Sample { sent, server });
        }
    }

    /// Whether the next read should ask for the time.
    pub(crate) fn is_due(&self) -> bool {
        let now = self.runtime.now();
        self.sample
            .lock()
            .is_none_or(|sample| now.since(sample.sent) >= SAMPLE_LIFE)
    }

    /// The server's time, or a little later; the local wall clock before the first answer.
    pub(crate) fn now(&self) -> Timestamp {
        match *self.sample.lock() {
            Some(sample) => sample.server.after(self.runtime.now().since(sample.sent)),
            None => self.runtime.wall(),
        }
    }
}
