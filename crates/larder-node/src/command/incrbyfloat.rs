//! `INCRBYFLOAT key increment`: adds to a decimal number.
//!
//! ```text
//! *3 $11 INCRBYFLOAT $3 key $3 0.5  →  $4 10.5
//! ```
//!
//! Sums are exact in decimal to 17 places behind the point, where Redis adds binary numbers of 80
//! bits: the same digits for everyday numbers, and no `…0001` for the others. O(1); two round
//! trips to a remote store.

mod decimal;

use std::slice;

use bytes::Bytes;
use larder::bytes::{Decision, put};
use larder_core::record::Life;

use super::{Call, Failure, Outcome};

const INFINITE: Failure = Failure::fixed("ERR increment would produce NaN or Infinity");

pub(super) async fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let key = call.key(1)?;
    let (by, plain) = (call.value(2), call.life_of(&key));
    if !decimal::is_number(&by) {
        return Err(Failure::FLOAT);
    }
    let sum = call.database().update(slice::from_ref(&key), |items, _| {
        let (old, life) = match &items[0] {
            Some(item) => (item.value.clone(), Life::KEEP),
            None => (Bytes::from_static(b"0"), plain),
        };
        if !decimal::is_number(&old) {
            return Decision::answer(Err(Failure::FLOAT));
        }
        match decimal::add(&old, &by) {
            None => Decision::answer(Err(INFINITE)),
            Some(sum) => {
                let sum = Bytes::from(sum);
                Decision::answer(Ok(sum.clone())).write(0, put(sum, life))
            }
        }
    });
    let sum = sum.await??;
    call.reply().bulk(&sum);
    Ok(())
}
