//! What members of a mesh say to each other, and how it looks as bytes.
//!
//! One message is: the version of the format, the letter of its kind, its fields. Numbers are big
//! endian. Nothing is allocated because a peer announced a size, only because bytes arrived, and a
//! message that is too long, too short or unknown is refused as a whole.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::copies::{MAX_LANES, PAGE};
use super::{LaneId, MAX_MEMBERS, NodeId, Positions};
use crate::limits::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// The version of the byte form.
pub const MESSAGE_VERSION: u8 = 1;

/// Longest record of a lane, in bytes: one value with its key and what belongs to it.
pub const MAX_RECORD_BYTES: usize = MAX_VALUE_BYTES + MAX_KEY_BYTES + 64 * 1024;

/// Longest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = MAX_RECORD_BYTES + (1 << 20) + 64 * 1024;

/// A message of the mesh. The connection that carries it says who sent it, in which life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// The first message over each connection. Asks for [`Message::Logged`].
    Hello(Hello),
    /// The sender has met this life of another member. Sent before anything that the sender says
    /// after it met it.
    Met(LaneId),
    /// Records of a lane that follow each other.
    Records {
        /// The lane.
        lane: LaneId,
        /// The number of the first.
        first: u64,
        /// The newest round of votes, if the lane is the sender's; else 0.
        round: u64,
        /// At least one.
        records: Vec<Bytes>,
    },
    /// What the sender has logged.
    Have(Positions),
    /// The sender has logged the receiver's lane up to here.
    Logged {
        /// The number of its last record.
        seq: u64,
        /// The newest round of votes that the receiver has called.
        round: u64,
    },
    /// Say again how far my lane is logged: votes from before this do not count.
    Confirm {
        /// The number of the round.
        round: u64,
    },
    /// Say what you have logged.
    Ask {
        /// To be repeated in the answer.
        nonce: u64,
    },
    /// What the sender had logged when it was asked, or later.
    Answer(Answer),
    /// Give me these records.
    Range {
        /// The lane.
        lane: LaneId,
        /// The first one.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// The sender has not kept this record, with which a range began.
    Missing {
        /// The lane.
        lane: LaneId,
        /// The record.
        first: u64,
    },
}

/// What a member says of itself to whom it is connected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hello {
    /// The lives of others that it has met.
    pub met: Vec<LaneId>,
    /// The newest round of votes that it has called.
    pub round: u64,
    /// How often it has forgotten lanes in this life.
    pub forgot: u32,
    /// What it has logged.
    pub have: Positions,
}

/// The answer to [`Message::Ask`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// From the question.
    pub nonce: u64,
    /// How often the sender has forgotten lanes in this life.
    pub forgot: u32,
    /// What the sender had learned from others when it had asked enough of them; empty before that.
    pub claim: Vec<Told>,
    /// What it has logged.
    pub have: Positions,
}

/// A member that told another all that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    /// Who told it.
    pub by: LaneId,
    /// How often that one had forgotten lanes.
    pub forgot: u32,
}

/// Bytes that are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMessage {
    /// Of a version that is not known here.
    Version(u8),
    /// Of a kind that is not known here.
    Kind(u8),
    /// It ends too early.
    Short,
    /// Something follows it.
    Long,
    /// A number in it is beyond its limit.
    Limit,
}

impl std::fmt::Display for BadMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadMessage::Version(version) => write!(f, "a message of version {version}"),
            BadMessage::Kind(kind) => write!(f, "a message of the unknown kind {kind}"),
            BadMessage::Short => f.write_str("a message that ends too early"),
            BadMessage::Long => f.write_str("a message with something behind it"),
            BadMessage::Limit => f.write_str("a message with a number beyond its limit"),
        }
    }
}

impl std::error::Error for BadMessage {}

impl Message {
    /// Appends its byte form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(MESSAGE_VERSION);
        match self {
            Message::Hello(hello) => {
                put_numbers(out, b'I', [hello.round]);
                out.put_u32(hello.forgot);
                put_count(out, hello.met.len());
                hello.met.iter().for_each(|life| put_lane(out, *life));
                put_positions(out, &hello.have);
            }
            Message::Met(life) => {
                out.put_u8(b'M');
                put_lane(out, *life);
            }
            Message::Records {
                lane,
                first,
                round,
                records,
            } => {
                out.put_u8(b'R');
                put_lane(out, *lane);
                out.put_u64(*first);
                out.put_u64(*round);
                put_count(out, records.len());
                for record in records {
                    put_count(out, record.len());
                    out.put_slice(record);
                }
            }
            Message::Have(have) => {
                out.put_u8(b'H');
                put_positions(out, have);
            }
            Message::Logged { seq, round } => put_numbers(out, b'L', [*seq, *round]),
            Message::Confirm { round } => put_numbers(out, b'C', [*round]),
            Message::Ask { nonce } => put_numbers(out, b'Q', [*nonce]),
            Message::Answer(answer) => {
                put_numbers(out, b'A', [answer.nonce]);
                out.put_u32(answer.forgot);
                put_count(out, answer.claim.len());
                for told in &answer.claim {
                    put_lane(out, told.by);
                    out.put_u32(told.forgot);
                }
                put_positions(out, &answer.have);
            }
            Message::Range { lane, first, last } => {
                out.put_u8(b'G');
                put_lane(out, *lane);
                out.put_u64(*first);
                out.put_u64(*last);
            }
            Message::Missing { lane, first } => {
                out.put_u8(b'X');
                put_lane(out, *lane);
                out.put_u64(*first);
            }
        }
    }

    /// Reads one message, which must be all of `bytes`. Records share its memory.
    pub fn decode(mut bytes: Bytes) -> Result<Message, BadMessage> {
        let input = &mut bytes;
        let version = input.try_get_u8().map_err(short)?;
        if version != MESSAGE_VERSION {
            return Err(BadMessage::Version(version));
        }
        let message = match input.try_get_u8().map_err(short)? {
            b'I' => Message::Hello(Hello {
                round: get_number(input)?,
                forgot: input.try_get_u32().map_err(short)?,
                met: get_many(input, MAX_MEMBERS, get_lane)?,
                have: get_many(input, MAX_LANES, get_position)?,
            }),
            b'M' => Message::Met(get_lane(input)?),
            b'R' => Message::Records {
                lane: get_lane(input)?,
                first: get_number(input)?,
                round: get_number(input)?,
                records: get_many(input, PAGE, get_record)?,
            },
            b'H' => Message::Have(get_many(input, MAX_LANES, get_position)?),
            b'L' => Message::Logged {
                seq: get_number(input)?,
                round: get_number(input)?,
            },
            b'C' => Message::Confirm {
                round: get_number(input)?,
            },
            b'Q' => Message::Ask {
                nonce: get_number(input)?,
            },
            b'A' => Message::Answer(Answer {
                nonce: get_number(input)?,
                forgot: input.try_get_u32().map_err(short)?,
                claim: get_many(input, MAX_MEMBERS, get_told)?,
                have: get_many(input, MAX_LANES, get_position)?,
            }),
            b'G' => Message::Range {
                lane: get_lane(input)?,
                first: get_number(input)?,
                last: get_number(input)?,
            },
            b'X' => Message::Missing {
                lane: get_lane(input)?,
                first: get_number(input)?,
            },
            kind => return Err(BadMessage::Kind(kind)),
        };
        if !bytes.is_empty() {
            return Err(BadMessage::Long);
        }
        message.check()
    }

    /// Numbers with which no arithmetic can overflow, and no empty page.
    fn check(self) -> Result<Message, BadMessage> {
        let is_sound = match &self {
            Message::Records { first, records, .. } => {
                *first > 0 && *first < MAX_SEQ && !records.is_empty()
            }
            Message::Have(have)
            | Message::Hello(Hello { have, .. })
            | Message::Answer(Answer { have, .. }) => have.iter().all(|(_, seq)| *seq < MAX_SEQ),
            Message::Range { first, .. } => *first > 0,
            _ => true,
        };
        if is_sound {
            Ok(self)
        } else {
            Err(BadMessage::Limit)
        }
    }
}

/// No lane ever has so many records.
const MAX_SEQ: u64 = 1 << 56;

fn short(_: bytes::TryGetError) -> BadMessage {
    BadMessage::Short
}

fn put_count(out: &mut BytesMut, count: usize) {
    // Everything that is counted has a limit far below.
    out.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
}

fn put_numbers<const N: usize>(out: &mut BytesMut, kind: u8, numbers: [u64; N]) {
    out.put_u8(kind);
    numbers.into_iter().for_each(|number| out.put_u64(number));
}

fn put_lane(out: &mut BytesMut, lane: LaneId) {
    out.put_u64(lane.node.0);
    out.put_u64(lane.boot);
}

fn put_positions(out: &mut BytesMut, positions: &Positions) {
    put_count(out, positions.len());
    for (lane, seq) in positions {
        put_lane(out, *lane);
        out.put_u64(*seq);
    }
}

fn get_number(input: &mut Bytes) -> Result<u64, BadMessage> {
    input.try_get_u64().map_err(short)
}

fn get_lane(input: &mut Bytes) -> Result<LaneId, BadMessage> {
    Ok(LaneId {
        node: NodeId(get_number(input)?),
        boot: get_number(input)?,
    })
}

fn get_position(input: &mut Bytes) -> Result<(LaneId, u64), BadMessage> {
    Ok((get_lane(input)?, get_number(input)?))
}

fn get_told(input: &mut Bytes) -> Result<Told, BadMessage> {
    Ok(Told {
        by: get_lane(input)?,
        forgot: input.try_get_u32().map_err(short)?,
    })
}

fn get_record(input: &mut Bytes) -> Result<Bytes, BadMessage> {
    let length = input.try_get_u32().map_err(short)? as usize;
    if length > MAX_RECORD_BYTES {
        return Err(BadMessage::Limit);
    }
    if length > input.len() {
        return Err(BadMessage::Short);
    }
    Ok(input.split_to(length))
}

fn get_many<T>(
    input: &mut Bytes,
    most: usize,
    get: impl Fn(&mut Bytes) -> Result<T, BadMessage>,
) -> Result<Vec<T>, BadMessage> {
    let count = input.try_get_u32().map_err(short)? as usize;
    if count > most {
        return Err(BadMessage::Limit);
    }
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(get(input)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
