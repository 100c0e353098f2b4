//! Which faults are in force, as plain data: pure, so that every connection reads the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Fault;

/// Which bytes a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Requests, replies.
    ways: [bool; 2],
    /// On connections without the mark, on those with it.
    marks: [bool; 2],
}

impl Traffic {
    /// In both directions.
    pub const ALL: Traffic = Traffic::of([true, true]);
    /// From clients to the server.
    pub const REQUESTS: Traffic = Traffic::of([true, false]);
    /// From the server to clients.
    pub const REPLIES: Traffic = Traffic::of([false, true]);

    const fn of(ways: [bool; 2]) -> Traffic {
        Traffic {
            ways,
            marks: [true, true],
        }
    }

    /// Only on connections that bear the [mark](super::Proxy::marking).
    #[must_use]
    pub const fn marked(self) -> Traffic {
        Traffic {
            marks: [false, true],
            ..self
        }
    }

    /// Only on the other ones.
    #[must_use]
    pub const fn unmarked(self) -> Traffic {
        Traffic {
            marks: [true, false],
            ..self
        }
    }
}

/// What happens to the bytes of one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) latency: Option<(Duration, Duration)>,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) slices: Option<(usize, Duration)>,
    pub(super) stalls: bool,
    pub(super) swallows: bool,
    /// How many bytes, and the number of the order, so that each order begins to count anew.
    pub(super) limit: Option<(u64, u64)>,
}

/// How new connections fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum DoorIs {
    #[default]
    Open,
    Resetting,
    Shut,
}

/// How open connections are ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ending {
    #[default]
    Close,
    Reset,
}

/// Everything in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// By mark, then by direction.
    faults: [[Faults; 2]; 2],
    pub(super) mark: Option<Arc<[u8]>>,
    /// Where new connections lead to, if not to the target.
    pub(super) target: Option<SocketAddr>,
    pub(super) door: DoorIs,
    /// Raised to end what is open.
    pub(super) ends: (u64, Ending),
    /// Raised to end what has lost bytes.
    pub(super) heals: u64,
    orders: u64,
}

impl Rules {
    pub(super) fn of(&self, is_marked: bool, way: usize) -> Faults {
        self.faults[usize::from(is_marked)][way]
    }

    pub(super) fn set(&mut self, traffic: Traffic, fault: Fault) {
        self.orders += 1;
        for mark in 0..2 {
            for way in 0..2 {
                if traffic.marks[mark] && traffic.ways[way] {
                    self.faults[mark][way].add(fault, self.orders);
                }
            }
        }
    }

    /// Takes all faults away.
    pub(super) fn mend(&mut self) {
        self.faults = Default::default();
        self.door = DoorIs::Open;
    }
}

impl Faults {
    fn add(&mut self, fault: Fault, order: u64) {
        match fault {
            Fault::Latency { least, jitter } => self.latency = Some((least, jitter)),
            Fault::Bandwidth(bytes) => self.bytes_per_second = Some(bytes.max(1)),
            Fault::Slices { bytes, pause } => self.slices = Some((bytes.max(1), pause)),
            Fault::Stall => self.stalls = true,
            Fault::BlackHole => self.swallows = true,
            Fault::Limit(bytes) => self.limit = Some((bytes, order)),
        }
    }

    /// How much later a piece arrives that drew this number.
    pub(super) fn delay(&self, drawn: u64) -> Duration {
        let Some((least, jitter)) = self.latency else {
            return Duration::ZERO;
        };
        // A part of 2^16 is fine enough for milliseconds.
        least + jitter * (drawn & 0xffff) as u32 / 0x1_0000
    }

    /// How many of `bytes` may be written at once.
    pub(super) fn piece(&self, bytes: usize) -> usize {
        let slice = self.slices.map_or(usize::MAX, |(bytes, _)| bytes);
        // A fiftieth of a second's worth: thin, not lumpy.
        let share = self.bytes_per_second.map_or(u64::MAX, |bytes| bytes / 50);
        let share = usize::try_from(share.max(1)).unwrap_or(usize::MAX);
        bytes.min(slice).min(share)
    }

    /// How long after a piece of `bytes` the next one may be written.
    pub(super) fn pause(&self, bytes: usize) -> Duration {
        let pause = self.slices.map_or(Duration::ZERO, |(_, pause)| pause);
        let thin = self.bytes_per_second.map_or(Duration::ZERO, |per_second| {
            Duration::from_secs_f64(bytes as f64 / per_second as f64)
        });
        pause.max(thin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn faults_of_different_kinds_add_up_where_they_are_set() {
        let mut rules = Rules::default();
        rules.set(Traffic::ALL, Fault::Bandwidth(100));
        rules.set(Traffic::REPLIES.marked(), Fault::BlackHole);
        rules.set(Traffic::REQUESTS.unmarked(), Fault::Stall);
        let all = [(false, 0), (false, 1), (true, 0), (true, 1)];
        let of = |(mark, way)| rules.of(mark, way);
        assert!(all.iter().all(|at| of(*at).bytes_per_second == Some(100)));
        assert_eq!(all.map(|at| of(at).swallows), [false, false, false, true]);
        assert_eq!(all.map(|at| of(at).stalls), [true, false, false, false]);
        rules.mend();
        assert!(!rules.of(true, 1).swallows);
    }

    #[test]
    fn jitter_lies_between_nothing_and_its_most() {
        let mut faults = Faults::default();
        faults.add(
            Fault::Latency {
                least: 10 * MS,
                jitter: 20 * MS,
            },
            1,
        );
        assert_eq!(faults.delay(0), 10 * MS);
        assert_eq!(faults.delay(0x8000), 20 * MS);
        assert!((20 * MS..30 * MS).contains(&faults.delay(0xffff)));
    }

    #[test]
    fn a_narrow_link_takes_small_pieces_and_its_time() {
        let mut faults = Faults::default();
        faults.add(Fault::Bandwidth(1_000), 1);
        assert_eq!(faults.piece(16_384), 20);
        assert_eq!(faults.pause(20), 20 * MS);
        faults.add(
            Fault::Slices {
                bytes: 3,
                pause: 50 * MS,
            },
            2,
        );
        assert_eq!((faults.piece(16_384), faults.piece(2)), (3, 2));
        assert_eq!(faults.pause(3), 50 * MS);
    }
}
