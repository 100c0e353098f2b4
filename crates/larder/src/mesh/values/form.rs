//! What replicated writes look like as bytes, in records and in pages of a table.
//!
//! The version of the format, the number of the node, the count of the writes, and each of them: a
//! letter and its fields. Numbers are big endian. Times are what remains of them.

use ::bytes::{Buf, BufMut, Bytes, BytesMut};
use larder_core::bus::{BusChange, ChangeKind};
use larder_core::codec::CodecId;
use larder_core::mesh::{LaneId, NodeId};
use larder_core::record::{Expiry, Kind, Life, Record};
use larder_core::runtime::Timestamp;
use larder_core::space::Space;
use larder_core::store::Put;
use larder_core::tag::{Cut, Tags};
use larder_core::version::Version;

use super::ledger::Stamp;
use crate::embedded::Placed;

/// The version of the format.
const FORMAT: u8 = 2;

/// What remains of a life that never ends.
const FOREVER: u64 = u64::MAX;

/// One write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Written {
    /// A key has this value, or none.
    Key {
        key: Bytes,
        stamp: Stamp,
        state: Option<State>,
    },
    /// A key has a value, which the node that tells of it does not hold.
    Unheld { key: Bytes, stamp: Stamp },
    /// Everything in a space that is older is gone.
    Cleared { space: Space, stamp: Stamp },
    /// A tag, an area, or a key that is stale where it is: what is older is void.
    Void {
        kind: ChangeKind,
        key: Bytes,
        stamp: Stamp,
    },
}

/// A value as it travels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) is_negative: bool,
    pub(super) is_stale: bool,
    pub(super) origin: u32,
    pub(super) load_cost_ms: u32,
    /// Milliseconds that it is fresh, and that it is there; [`FOREVER`].
    pub(super) fresh_ms: u64,
    pub(super) left_ms: u64,
    pub(super) codec: CodecId,
    pub(super) schema: u32,
    pub(super) tags: Tags,
    pub(super) value: Bytes,
}

impl State {
    pub(super) fn of(record: Record, now: Timestamp) -> State {
        let left = |end: Option<Timestamp>| end.map_or(FOREVER, |end| end.0.saturating_sub(now.0));
        State {
            is_negative: record.kind == Kind::Negative,
            is_stale: record.marked_stale,
            origin: record.origin,
            load_cost_ms: record.load_cost_ms,
            fresh_ms: left(record.fresh_until),
            left_ms: left(record.expires_at),
            codec: record.codec,
            schema: record.schema,
            tags: record.tags,
            value: record.value,
        }
    }

    /// As it is put into the store here.
    pub(super) fn into_placed(self) -> Placed {
        let life = match self.left_ms {
            FOREVER => Life::FOREVER,
            left => Life {
                fresh: Expiry::In(self.fresh_ms.min(left)),
                stale_for_ms: left.saturating_sub(self.fresh_ms),
            },
        };
        let kind = match self.is_negative {
            true => Kind::Negative,
            false => Kind::Value,
        };
        Placed {
            is_stale: self.is_stale,
            put: Put {
                kind,
                life,
                origin: self.origin,
                load_cost_ms: self.load_cost_ms,
                codec: self.codec,
                schema: self.schema,
                tags: self.tags,
                bonds: Vec::new(),
                within: None,
                cut: Cut::default(),
                value: self.value,
            },
        }
    }
}

impl Written {
    /// About how long it is.
    pub(super) fn size(&self) -> usize {
        match self {
            Written::Key { key, state, .. } => {
                let value = state.as_ref().map_or(0, |state| state.value.len() + 64);
                key.len() + value + 40
            }
            Written::Cleared { space, .. } => space.prefix.len() + 40,
            Written::Void { key, .. } | Written::Unheld { key, .. } => key.len() + 40,
        }
    }

    /// The key, if it says what became of one.
    pub(super) fn key(&self) -> Option<&Bytes> {
        match self {
            Written::Key { key, .. } | Written::Unheld { key, .. } => Some(key),
            Written::Cleared { .. } | Written::Void { .. } => None,
        }
    }

    fn put(&self, out: &mut BytesMut) {
        match self {
            Written::Key { key, stamp, state } => {
                out.put_u8(if state.is_some() { b'S' } else { b'D' });
                put_bytes(out, key);
                put_stamp(out, *stamp);
                if let Some(state) = state {
                    put_state(out, state);
                }
            }
            Written::Unheld { key, stamp } => {
                out.put_u8(b'U');
                put_bytes(out, key);
                put_stamp(out, *stamp);
            }
            Written::Cleared { space, stamp } => {
                out.put_u8(b'C');
                out.put_u8(space.database);
                put_bytes(out, &space.prefix);
                put_stamp(out, *stamp);
            }
            Written::Void { kind, key, stamp } => {
                out.put_u8(match kind {
                    ChangeKind::TagBumped => b'T',
                    ChangeKind::Voided => b'V',
                    _ => b'E',
                });
                put_bytes(out, key);
                put_stamp(out, *stamp);
            }
        }
    }

    fn get(input: &mut Bytes) -> Option<Written> {
        Some(match input.try_get_u8().ok()? {
            letter @ (b'S' | b'D') => Written::Key {
                key: get_bytes(input)?,
                stamp: get_stamp(input)?,
                state: match letter {
                    b'S' => Some(get_state(input)?),
                    _ => None,
                },
            },
            b'U' => Written::Unheld {
                key: get_bytes(input)?,
                stamp: get_stamp(input)?,
            },
            b'C' => Written::Cleared {
                space: Space {
                    database: input.try_get_u8().ok()?,
                    prefix: get_bytes(input)?,
                },
                stamp: get_stamp(input)?,
            },
            letter => Written::Void {
                kind: match letter {
                    b'T' => ChangeKind::TagBumped,
                    b'V' => ChangeKind::Voided,
                    b'E' => ChangeKind::Expired,
                    _ => return None,
                },
                key: get_bytes(input)?,
                stamp: get_stamp(input)?,
            },
        })
    }

    /// As the store here is told of it.
    pub(super) fn change(kind: ChangeKind, key: Bytes) -> BusChange {
        BusChange::new(key, Version::ZERO, kind)
    }
}

pub(super) fn encode(origin: u32, writes: &[Written]) -> Bytes {
    let size: usize = writes.iter().map(Written::size).sum();
    let mut out = BytesMut::with_capacity(9 + size);
    out.put_u8(FORMAT);
    out.put_u32(origin);
    out.put_u32(u32::try_from(writes.len()).unwrap_or(u32::MAX));
    writes.iter().for_each(|write| write.put(&mut out));
    out.freeze()
}

/// `None` if it cannot be read.
pub(super) fn decode(mut bytes: Bytes) -> Option<(u32, Vec<Written>)> {
    let input = &mut bytes;
    if input.try_get_u8().ok()? != FORMAT {
        return None;
    }
    let origin = input.try_get_u32().ok()?;
    let count = input.try_get_u32().ok()?;
    let mut writes = Vec::new();
    for _ in 0..count {
        writes.push(Written::get(input)?);
    }
    bytes.is_empty().then_some((origin, writes))
}

fn put_state(out: &mut BytesMut, state: &State) {
    out.put_u8(u8::from(state.is_negative) | u8::from(state.is_stale) << 1);
    out.put_u32(state.origin);
    out.put_u32(state.load_cost_ms);
    out.put_u64(state.fresh_ms);
    out.put_u64(state.left_ms);
    out.put_u8(state.codec.0);
    out.put_u32(state.schema);
    put_bytes(out, &state.tags.encode());
    put_bytes(out, &state.value);
}

fn get_state(input: &mut Bytes) -> Option<State> {
    let flags = input.try_get_u8().ok()?;
    Some(State {
        is_negative: flags & 1 != 0,
        is_stale: flags & 2 != 0,
        origin: input.try_get_u32().ok()?,
        load_cost_ms: input.try_get_u32().ok()?,
        fresh_ms: input.try_get_u64().ok()?,
        left_ms: input.try_get_u64().ok()?,
        codec: CodecId(input.try_get_u8().ok()?),
        schema: input.try_get_u32().ok()?,
        tags: Tags::decode(&get_bytes(input)?)?,
        value: get_bytes(input)?,
    })
}

pub(super) fn put_stamp(out: &mut BytesMut, stamp: Stamp) {
    out.put_u64(stamp.counter);
    out.put_u64(stamp.lane.node.0);
    out.put_u64(stamp.lane.boot);
}

pub(super) fn get_stamp(input: &mut Bytes) -> Option<Stamp> {
    Some(Stamp {
        counter: input.try_get_u64().ok()?,
        lane: LaneId {
            node: NodeId(input.try_get_u64().ok()?),
            boot: input.try_get_u64().ok()?,
        },
    })
}

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

pub(super) fn get_bytes(input: &mut Bytes) -> Option<Bytes> {
    let length = input.try_get_u32().ok()? as usize;
    (length <= input.len()).then(|| input.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes() -> Vec<Written> {
        let stamp = Stamp {
            counter: 3,
            lane: LaneId {
                node: NodeId(1),
                boot: 2,
            },
        };
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"value"));
        let state = State {
            is_negative: false,
            is_stale: true,
            origin: 7,
            load_cost_ms: 8,
            fresh_ms: 9,
            left_ms: FOREVER,
            codec: CodecId(1),
            schema: 10,
            tags: Tags::new([Bytes::from_static(b"\0stag:a:b")]).unwrap_or_default(),
            value,
        };
        let of = |state| Written::Key {
            key: key.clone(),
            stamp,
            state,
        };
        let space = Space::prefix(key.clone());
        let void = |kind| Written::Void {
            kind,
            key: key.clone(),
            stamp,
        };
        vec![
            of(Some(state)),
            of(None),
            Written::Unheld {
                key: key.clone(),
                stamp,
            },
            Written::Cleared { space, stamp },
            void(ChangeKind::TagBumped),
            void(ChangeKind::Voided),
            void(ChangeKind::Expired),
        ]
    }

    #[test]
    fn writes_read_back_and_nothing_shorter_longer_or_unknown_does() {
        let bytes = encode(5, &writes());
        assert_eq!(decode(bytes.clone()), Some((5, writes())));
        for end in 0..bytes.len() {
            assert_eq!(decode(bytes.slice(..end)), None, "{end}");
        }
        assert_eq!(decode([&bytes[..], b"x"].concat().into()), None);
        assert_eq!(decode(Bytes::from_static(b"\x02\0\0\0\0\0\0\0\x01?")), None);
    }

    #[test]
    fn the_bytes_of_a_removal_are_fixed_for_ever() {
        let bytes = encode(5, &writes()[1..2]);
        let expected = b"\x02\0\0\0\x05\0\0\0\x01D\0\0\0\x01k\
            \0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02";
        assert_eq!(bytes, &expected[..]);
    }
}
