//! Ends of life as clients give them: relative or absolute, in seconds or milliseconds.

use larder_core::record::{Expiry, Life};
use larder_core::runtime::Timestamp;
use larder_resp::number;

use super::Failure;

/// How a number is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unit {
    pub(super) seconds: bool,
    pub(super) absolute: bool,
}

impl Unit {
    pub(super) const EX: Unit = Unit {
        seconds: true,
        absolute: false,
    };
    pub(super) const PX: Unit = Unit {
        seconds: false,
        absolute: false,
    };
    pub(super) const EXAT: Unit = Unit {
        seconds: true,
        absolute: true,
    };
    pub(super) const PXAT: Unit = Unit {
        seconds: false,
        absolute: true,
    };

    /// The number in milliseconds; `None` if that, or the end it stands for, does not fit.
    pub(super) fn milliseconds(self, number: i64, now: Timestamp) -> Option<i64> {
        let factor = if self.seconds { 1_000 } else { 1 };
        let milliseconds = number.checked_mul(factor)?;
        if !self.absolute {
            milliseconds.checked_add_unsigned(now.0)?;
        }
        Some(milliseconds)
    }

    /// The life that a positive number of milliseconds stands for.
    pub(super) fn life(self, milliseconds: u64) -> Life {
        let fresh = if self.absolute {
            Expiry::At(Timestamp(milliseconds))
        } else {
            Expiry::In(milliseconds)
        };
        Life {
            fresh,
            stale_for_ms: 0,
        }
    }
}

/// Reads the number behind `EX` and its kin, which must be positive.
pub(super) fn positive(
    text: &[u8],
    unit: Unit,
    now: Timestamp,
    command: &str,
) -> Result<Life, Failure> {
    let number = number::parse_i64(text).ok_or(Failure::INTEGER)?;
    unit.milliseconds(number, now)
        .filter(|&milliseconds| milliseconds > 0)
        .map(|milliseconds| unit.life(milliseconds.unsigned_abs()))
        .ok_or_else(|| invalid(command))
}

pub(super) fn invalid(command: &str) -> Failure {
    Failure::new(format!("ERR invalid expire time in '{command}' command"))
}

/// The life of a value that moves and keeps its end.
pub(super) fn until(end: Option<Timestamp>) -> Life {
    end.map_or(Life::FOREVER, |end| Life {
        fresh: Expiry::At(end),
        stale_for_ms: 0,
    })
}
