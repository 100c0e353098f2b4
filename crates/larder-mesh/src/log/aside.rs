//! What members say to each other beside the log: who reads it there, and that readers are waited for.
//!
//! One byte says what follows, numbers are big endian, and nothing is allocated because a peer
//! announced a size.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use larder_core::bus::MAX_READERS;
use larder_core::mesh::{BadMessage, Message};

/// Longest name of a reader or of its cache, in bytes; what is longer is cut.
const MAX_NAME: usize = 1024;

const LOG: u8 = b'L';
const NUDGE: u8 = b'N';
const FOLLOWER: u8 = b'F';
const ASK: u8 = b'A';
const HEARD: u8 = b'H';

/// A message as it is carried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Carried {
    /// Of the log.
    Log(Message),
    /// Somebody waits for all readers to say how far they are.
    Nudge,
    /// Who reads your log, and how far have they applied my lane?
    Ask { nonce: u64 },
    /// Between the followers of two members.
    Follower(Bytes),
    /// The answer to that.
    Heard { nonce: u64, readers: Heard },
}

/// The readers of a member, and how far they have come in the lane of another one.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Heard {
    /// For how many milliseconds the list is kept; `None` if nobody reads there.
    pub kept_ms: Option<u64>,
    /// The readers.
    pub readers: Vec<HeardReader>,
}

/// One reader, as its own member sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardReader {
    /// The number of its node.
    pub node: u32,
    /// What people call its node.
    pub name: Arc<str>,
    /// The cache that reads.
    pub cache: Arc<str>,
    /// Everything up to this number of the lane is applied; 0 if nobody can tell.
    pub applied: u64,
    /// How long ago it said so, in milliseconds.
    pub silent_ms: u64,
}

impl Carried {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Carried::Log(message) => return of_log(message),
            Carried::Nudge => out.put_u8(NUDGE),
            Carried::Follower(message) => {
                out.reserve(1 + message.len());
                out.put_u8(FOLLOWER);
                out.put_slice(message);
            }
            Carried::Ask { nonce } => {
                out.put_u8(ASK);
                out.put_u64(*nonce);
            }
            Carried::Heard { nonce, readers } => {
                out.put_u8(HEARD);
                out.put_u64(*nonce);
                out.put_u64(readers.kept_ms.unwrap_or(u64::MAX));
                let list = &readers.readers[..readers.readers.len().min(MAX_READERS)];
                out.put_u32(u32::try_from(list.len()).unwrap_or(u32::MAX));
                for reader in list {
                    out.put_u32(reader.node);
                    put_name(&mut out, &reader.name);
                    put_name(&mut out, &reader.cache);
                    out.put_u64(reader.applied);
                    out.put_u64(reader.silent_ms);
                }
            }
        }
        out.freeze()
    }

    pub(super) fn decode(mut bytes: Bytes) -> Result<Carried, BadMessage> {
        let input = &mut bytes;
        let carried = match input.try_get_u8().map_err(short)? {
            LOG => return Message::decode(bytes).map(Carried::Log),
            FOLLOWER => return Ok(Carried::Follower(bytes)),
            NUDGE => Carried::Nudge,
            ASK => Carried::Ask {
                nonce: number(input)?,
            },
            HEARD => Carried::Heard {
                nonce: number(input)?,
                readers: heard(input)?,
            },
            kind => return Err(BadMessage::Kind(kind)),
        };
        if bytes.is_empty() {
            Ok(carried)
        } else {
            Err(BadMessage::Long)
        }
    }
}

/// The form of a message of the log.
pub(super) fn of_log(message: &Message) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_u8(LOG);
    message.encode(&mut out);
    out.freeze()
}

fn heard(input: &mut Bytes) -> Result<Heard, BadMessage> {
    let kept = number(input)?;
    let count = input.try_get_u32().map_err(short)? as usize;
    if count > MAX_READERS {
        return Err(BadMessage::Limit);
    }
    let mut readers = Vec::new();
    for _ in 0..count {
        readers.push(HeardReader {
            node: input.try_get_u32().map_err(short)?,
            name: name(input)?,
            cache: name(input)?,
            applied: number(input)?,
            silent_ms: number(input)?,
        });
    }
    Ok(Heard {
        kept_ms: Some(kept).filter(|kept| *kept != u64::MAX),
        readers,
    })
}

fn short(_: bytes::TryGetError) -> BadMessage {
    BadMessage::Short
}

fn number(input: &mut Bytes) -> Result<u64, BadMessage> {
    input.try_get_u64().map_err(short)
}

fn put_name(out: &mut BytesMut, name: &str) {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    out.put_u16(u16::try_from(end).unwrap_or(0));
    out.put_slice(&name.as_bytes()[..end]);
}

fn name(input: &mut Bytes) -> Result<Arc<str>, BadMessage> {
    let length = usize::from(input.try_get_u16().map_err(short)?);
    if length > MAX_NAME {
        return Err(BadMessage::Limit);
    }
    if length > input.len() {
        return Err(BadMessage::Short);
    }
    let bytes = input.split_to(length);
    let text = std::str::from_utf8(&bytes).map_err(|_| BadMessage::Limit)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_core::mesh::Message;

    fn reader(name: &str) -> HeardReader {
        HeardReader {
            node: 7,
            name: name.into(),
            cache: "app:users".into(),
            applied: 9,
            silent_ms: 3,
        }
    }

    fn all() -> Vec<Carried> {
        let heard = |kept_ms, readers| Carried::Heard {
            nonce: 4,
            readers: Heard { kept_ms, readers },
        };
        vec![
            Carried::Log(Message::Ask { nonce: 3 }),
            Carried::Nudge,
            Carried::Ask { nonce: u64::MAX },
            heard(None, Vec::new()),
            heard(Some(0), vec![reader("web 1"), reader("ü")]),
        ]
    }

    #[test]
    fn what_is_carried_reads_back_and_nothing_shorter_or_longer_does() {
        for carried in all() {
            let bytes = carried.encode();
            assert_eq!(Carried::decode(bytes.clone()), Ok(carried));
            for end in 0..bytes.len() {
                let cut = Carried::decode(bytes.slice(..end));
                assert_eq!(cut, Err(BadMessage::Short), "{end}");
            }
            let longer = [&bytes[..], b"x"].concat();
            assert_eq!(Carried::decode(longer.into()), Err(BadMessage::Long));
        }
    }

    #[test]
    fn a_long_name_is_cut_between_letters() {
        let long = "ü".repeat(MAX_NAME);
        let readers = Heard {
            kept_ms: None,
            readers: vec![reader(&format!("x{long}"))],
        };
        let carried = Carried::Heard { nonce: 1, readers };
        let Ok(Carried::Heard { readers, .. }) = Carried::decode(carried.encode()) else {
            panic!("it reads back");
        };
        assert_eq!(readers.readers[0].name.len(), MAX_NAME - 1);
    }

    #[test]
    fn more_readers_than_there_may_be_are_refused() {
        let mut bytes = BytesMut::new();
        bytes.put_u8(HEARD);
        bytes.put_u64(1);
        bytes.put_u64(1);
        bytes.put_u32(u32::MAX);
        assert_eq!(Carried::decode(bytes.freeze()), Err(BadMessage::Limit));
        assert_eq!(
            Carried::decode(Bytes::from_static(b"?")),
            Err(BadMessage::Kind(b'?'))
        );
    }
}
