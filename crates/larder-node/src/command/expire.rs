//! `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT`: `key time [NX|XX|GT|LT]` gives a value a life.
//!
//! ```text
//! *3 $6 EXPIRE $3 key $2 10  →  :1 done  |  :0 absent, or the condition did not hold
//! ```
//!
//! An end that has passed removes the value. O(1). Two round trips to a remote store, one when
//! nothing is done.

use std::slice;

use larder::bytes::{Decision, Item, remove};
use larder_core::runtime::Timestamp;
use larder_core::store::Write;

use super::expiry::{self, Unit};
use super::failure::printable;
use super::{Call, Failure, Outcome};

const NX_AND_OTHERS: Failure =
    Failure::fixed("ERR NX and XX, GT or LT options at the same time are not compatible");
const GT_AND_LT: Failure =
    Failure::fixed("ERR GT and LT options at the same time are not compatible");

/// What must be true of the life that is replaced.
#[derive(Clone, Copy, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

pub(super) async fn expire(call: &mut Call<'_>) -> Outcome {
    set_end(call, Unit::EX).await
}

pub(super) async fn pexpire(call: &mut Call<'_>) -> Outcome {
    set_end(call, Unit::PX).await
}

pub(super) async fn expireat(call: &mut Call<'_>) -> Outcome {
    set_end(call, Unit::EXAT).await
}

pub(super) async fn pexpireat(call: &mut Call<'_>) -> Outcome {
    set_end(call, Unit::PXAT).await
}

async fn set_end(call: &mut Call<'_>, unit: Unit) -> Outcome {
    let conditions = Conditions::read(call)?;
    let number = call.integer(2)?;
    let milliseconds = unit
        .milliseconds(number, call.database().now())
        .ok_or_else(|| expiry::invalid(call.spec.name))?;
    let key = call.key(1)?;
    let done = call.database().update(slice::from_ref(&key), |items, now| {
        let start = if unit.absolute { 0 } else { now.0 as i64 };
        let end = start.saturating_add(milliseconds);
        match &items[0] {
            Some(item) if conditions.hold(item, end) => {
                let gone = end <= now.0 as i64;
                let life = unit.life(milliseconds.unsigned_abs());
                let write = if gone { remove() } else { Write::Touch(life) };
                Decision::answer(true).write(0, write)
            }
            _ => Decision::answer(false),
        }
    });
    let done = done.await?;
    call.reply().integer(done.into());
    Ok(())
}

impl Conditions {
    fn read(call: &Call<'_>) -> Result<Conditions, Failure> {
        let mut conditions = Conditions::default();
        for at in 3..call.argc() {
            match call.argument(at).to_ascii_uppercase().as_slice() {
                b"NX" => conditions.nx = true,
                b"XX" => conditions.xx = true,
                b"GT" => conditions.gt = true,
                b"LT" => conditions.lt = true,
                _ => return Err(unsupported(call.argument(at))),
            }
        }
        if conditions.nx && (conditions.xx || conditions.gt || conditions.lt) {
            return Err(NX_AND_OTHERS);
        }
        if conditions.gt && conditions.lt {
            return Err(GT_AND_LT);
        }
        Ok(conditions)
    }

    /// A value without an end counts as one that ends after all others.
    fn hold(self, item: &Item, end: i64) -> bool {
        let current = item.expires_at.map(|Timestamp(at)| at as i64);
        let refused = (self.nx && current.is_some())
            || (self.xx && current.is_none())
            || (self.gt && current.is_none_or(|current| end <= current))
            || (self.lt && current.is_some_and(|current| end >= current));
        !refused
    }
}

fn unsupported(option: &[u8]) -> Failure {
    let mut text = b"ERR Unsupported option ".to_vec();
    text.extend_from_slice(printable(option, usize::MAX));
    Failure::new(text)
}
