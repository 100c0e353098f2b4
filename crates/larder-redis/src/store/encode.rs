//! Records and lives as arguments of scripts.

use bytes::Bytes;
use larder_core::envelope::seal_payload;
use larder_core::error::Result;
use larder_core::record::{Expiry, Kind, Life};
use larder_core::store::Put;
use redis::Cmd;

/// The greatest number that scripts calculate with: Lua's numbers are exact up to here.
const LAST_NUMBER: u64 = (1 << 53) - 1;

/// `mode at stale_for`, as `ends` in common.lua reads it.
pub(crate) fn life(call: &mut Cmd, life: Life) {
    fresh(call, life.fresh);
    call.arg(life.stale_for_ms.min(LAST_NUMBER));
}

/// `mode at`.
pub(crate) fn fresh(call: &mut Cmd, fresh: Expiry) {
    let (mode, at) = match fresh {
        Expiry::Never => ("N", 0),
        Expiry::In(ms) => ("I", ms),
        Expiry::At(at) => ("A", at.0),
        Expiry::Keep => ("K", 0),
    };
    call.arg(mode).arg(at.min(LAST_NUMBER));
}

/// `kind mode at stale_for origin cost cut payload`. Fails if it depends on too much.
pub(super) fn put(call: &mut Cmd, key: &Bytes, put: &Put) -> Result<()> {
    head(call, put);
    let tags = put.tags.with(&put.bonds)?;
    call.arg(&seal_payload(key, put.codec, put.schema, &tags, &put.value)[..]);
    Ok(())
}

/// The same without a payload, for a record whose payload stays.
pub(super) fn stay(call: &mut Cmd, put: &Put) {
    head(call, put);
    call.arg("");
}

fn head(call: &mut Cmd, put: &Put) {
    call.arg(match put.kind {
        Kind::Negative => 3,
        Kind::Value | Kind::Tombstone | Kind::Lease => 0,
    });
    life(call, put.life);
    call.arg(put.origin).arg(put.load_cost_ms);
    call.arg(put.cut.0.min(LAST_NUMBER));
}
