//! The text of a ticket: bytes in base64url without padding (RFC 4648, section 5).
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | bit 0: strict |
//! | 1 | number of marks |
//! | 1 | number of floors |
//! | 24 each | mark: lane, incarnation, number |
//! | 16 each | floor: key, version |

use std::fmt;
use std::str::FromStr;

use super::{Floor, MAX_FLOORS, MAX_MARKS, MAX_TEXT_BYTES, Mark, Ticket};
use crate::error::{Error, ErrorKind};
use crate::lane::Position;
use crate::version::Version;

const VERSION: u8 = 1;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![
            VERSION,
            u8::from(self.strict),
            self.marks.len() as u8,
            self.floors.len() as u8,
        ];
        for Mark { lane, position } in &self.marks {
            for number in [*lane, position.incarnation, position.seq] {
                bytes.extend(number.to_be_bytes());
            }
        }
        for Floor { key, version } in &self.floors {
            bytes.extend(key.to_be_bytes());
            bytes.extend(version.0.to_be_bytes());
        }
        f.write_str(&encode(&bytes))
    }
}

impl FromStr for Ticket {
    type Err = Error;

    /// Reads a ticket. Looks at no more than [`MAX_TEXT_BYTES`] bytes; the error does not repeat
    /// them.
    fn from_str(text: &str) -> Result<Ticket, Error> {
        let wrong = || Error::new(ErrorKind::Invalid, "this is no ticket of this version");
        if text.len() > MAX_TEXT_BYTES {
            return Err(wrong());
        }
        decode(text.as_bytes())
            .and_then(|bytes| read(&bytes))
            .ok_or_else(wrong)
    }
}

fn read(bytes: &[u8]) -> Option<Ticket> {
    let (&[version, flags, marks, floors], rest) = bytes.split_first_chunk()?;
    let (marks, floors) = (usize::from(marks), usize::from(floors));
    if version != VERSION || flags > 1 || marks > MAX_MARKS || floors > MAX_FLOORS {
        return None;
    }
    let (numbers, odd) = rest.as_chunks();
    if !odd.is_empty() || numbers.len() != 3 * marks + 2 * floors {
        return None;
    }
    let numbers: Vec<u64> = numbers.iter().map(|n| u64::from_be_bytes(*n)).collect();
    let (places, versions) = numbers.split_at(3 * marks);
    let mut ticket = Ticket {
        strict: flags == 1,
        ..Ticket::default()
    };
    // Through the same door as all others, so that nothing stands there twice.
    for place in places.chunks_exact(3) {
        ticket.mark(Mark {
            lane: place[0],
            position: Position {
                incarnation: place[1],
                seq: place[2],
            },
        });
    }
    for version in versions.chunks_exact(2) {
        ticket.floor(Floor {
            key: version[0],
            version: Version(version[1]),
        });
    }
    Some(ticket)
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let byte = |at: usize| u32::from(part.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=part.len() {
            let letter = (bits >> (18 - 6 * at)) & 63;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}

/// The bytes, if the text is what [`encode`] makes of them.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for part in text.chunks(4) {
        let mut bits = 0_u32;
        for &letter in part {
            let value = LETTERS.iter().position(|known| *known == letter)?;
            bits = bits << 6 | value as u32;
        }
        bits <<= 6 * (4 - part.len());
        let all = bits.to_be_bytes();
        let (known, unused) = all[1..].split_at(part.len() - 1);
        if known.is_empty() || unused.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(known);
    }
    Some(bytes)
}
