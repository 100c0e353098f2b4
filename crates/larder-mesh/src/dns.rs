//! The name service's messages (RFC 1035, 2782, 3596), as little of them as finding members needs.
//!
//! Pure. A reader of bytes from the network: everything is bounded, compressed names included, and
//! whatever does not fit the question that was asked is an error.
//!
//! This is a client of our own because the system's resolver knows no services (SRV), cannot be
//! told whom to ask, and because the crates that can would be more than all others of this crate
//! together.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// LIMIT: records of one answer that are looked at.
const MAX_RECORDS: usize = 1_024;
/// LIMIT: aliases from the name that was asked for to the one that has records.
const MAX_ALIASES: usize = 8;
/// LIMIT: jumps within one compressed name.
const MAX_JUMPS: usize = 32;
const HEADER_BYTES: usize = 12;
const MAX_NAME_BYTES: usize = 255;
const IN: u16 = 1;
const CNAME: u16 = 5;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    A,
    Aaaa,
    Srv,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Aaaa => 28,
            Kind::Srv => 33,
        }
    }
}

/// What was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Found {
    Ip(IpAddr),
    Service(String, u16),
}

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// These; none if the name has no records of the kind, or does not exist.
    Found(Vec<Found>),
    /// Too long for a datagram: to be asked again over TCP.
    Truncated,
}

/// Why an answer is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bad {
    /// Not an answer to this question: perhaps one that came late, or somebody who guesses.
    NotMine,
    /// An answer that cannot be read.
    Damaged,
    /// The server says so, with its number for why.
    Server(u8),
}

/// The bytes of a question; none if the name is none.
pub(crate) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    bytes.extend_from_slice(&id.to_be_bytes());
    // Recursion desired; one question.
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let before = bytes.len();
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..64).contains(length))?;
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    if bytes.len() - before > MAX_NAME_BYTES {
        return None;
    }
    bytes.extend_from_slice(&kind.number().to_be_bytes());
    bytes.extend_from_slice(&IN.to_be_bytes());
    Some(bytes)
}

/// Reads the answer to a question that [`question`] made.
pub(crate) fn answer(question: &[u8], bytes: &[u8]) -> Result<Answer, Bad> {
    let asked = question.get(HEADER_BYTES..).ok_or(Bad::Damaged)?;
    let is_mine = bytes.get(..2) == question.get(..2)
        && bytes.get(2).is_some_and(|flags| flags & 0xf8 == 0x80);
    if !is_mine {
        return Err(Bad::NotMine);
    }
    let mut reader = Reader { bytes, at: 2 };
    let flags = reader.u16()?;
    let [questions, answers] = [reader.u16()?, reader.u16()?];
    reader.at = HEADER_BYTES;
    let has_question = questions == 1;
    if has_question {
        let echoed = bytes.get(HEADER_BYTES..HEADER_BYTES + asked.len());
        if !echoed.is_some_and(|echoed| echoed.eq_ignore_ascii_case(asked)) {
            return Err(Bad::NotMine);
        }
        reader.at += asked.len();
    }
    match (flags & 0xf) as u8 {
        0 if flags & 0x0200 != 0 => return Ok(Answer::Truncated),
        0 if has_question => {}
        // There is no such name.
        3 => return Ok(Answer::Found(Vec::new())),
        0 => return Err(Bad::Damaged),
        code => return Err(Bad::Server(code)),
    }
    let mut name = Reader {
        bytes: question,
        at: HEADER_BYTES,
    };
    let (name, kind) = (name.name()?, name.u16()?);
    let records = records(&mut reader, usize::from(answers))?;
    Ok(Answer::Found(found(&records, name, kind)))
}

/// A record of an answer, with only the parts that matter.
struct Record {
    owner: String,
    kind: u16,
    data: Data,
}

enum Data {
    Alias(String),
    Found(Found),
}

fn records(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Record>, Bad> {
    let mut records = Vec::new();
    for _ in 0..count.min(MAX_RECORDS) {
        let owner = reader.name()?;
        let (kind, class) = (reader.u16()?, reader.u16()?);
        // Its life; we ask again at intervals of our own.
        reader.array::<4>()?;
        let length = usize::from(reader.u16()?);
        let end = reader.at + length;
        let data = (class == IN)
            .then(|| reader.data(kind, length))
            .transpose()?;
        if reader.at > end || end > reader.bytes.len() {
            return Err(Bad::Damaged);
        }
        reader.at = end;
        if let Some(data) = data.flatten() {
            records.push(Record { owner, kind, data });
        }
    }
    Ok(records)
}

/// The records of the kind that belong to the name, or to what it is an alias of.
fn found(records: &[Record], mut name: String, kind: u16) -> Vec<Found> {
    for _ in 0..MAX_ALIASES {
        let alias = records.iter().find_map(|record| match &record.data {
            Data::Alias(target) if record.owner == name => Some(target.clone()),
            _ => None,
        });
        match alias {
            Some(target) => name = target,
            None => break,
        }
    }
    let ours = records.iter().filter(|r| r.owner == name && r.kind == kind);
    let ours = ours.filter_map(|record| match &record.data {
        Data::Found(found) => Some(found.clone()),
        Data::Alias(_) => None,
    });
    let mut found: Vec<Found> = ours.collect();
    found.sort();
    found.dedup();
    found
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let rest = self.bytes.get(self.at..).ok_or(Bad::Damaged)?;
        let array = rest.first_chunk::<N>().ok_or(Bad::Damaged)?;
        self.at += N;
        Ok(*array)
    }

    fn u16(&mut self) -> Result<u16, Bad> {
        self.array().map(u16::from_be_bytes)
    }

    fn data(&mut self, kind: u16, length: usize) -> Result<Option<Data>, Bad> {
        let found = match (kind, length) {
            (1, 4) => Found::Ip(Ipv4Addr::from(self.array::<4>()?).into()),
            (28, 16) => Found::Ip(Ipv6Addr::from(self.array::<16>()?).into()),
            (33, _) => {
                // Priority and weight: all members are dialled.
                self.array::<4>()?;
                let port = self.u16()?;
                Found::Service(self.name()?, port)
            }
            (CNAME, _) => return Ok(Some(Data::Alias(self.name()?))),
            (1 | 28, _) => return Err(Bad::Damaged),
            _ => return Ok(None),
        };
        Ok(Some(Data::Found(found)))
    }

    /// A name in lower case, without the last dot. Jumps lead backwards only, so they end.
    fn name(&mut self) -> Result<String, Bad> {
        let mut name = String::new();
        let (mut at, mut jumps) = (self.at, 0);
        let mut end = None;
        loop {
            let length = usize::from(*self.bytes.get(at).ok_or(Bad::Damaged)?);
            match length {
                0 => break,
                1..64 => {
                    let label = self
                        .bytes
                        .get(at + 1..at + 1 + length)
                        .ok_or(Bad::Damaged)?;
                    if !label
                        .iter()
                        .all(|byte| byte.is_ascii_graphic() && *byte != b'.')
                    {
                        return Err(Bad::Damaged);
                    }
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(
                        label
                            .iter()
                            .map(|byte| char::from(byte.to_ascii_lowercase())),
                    );
                    at += 1 + length;
                }
                0xc0.. => {
                    let low = usize::from(*self.bytes.get(at + 1).ok_or(Bad::Damaged)?);
                    end.get_or_insert(at + 2);
                    let to = (length & 0x3f) << 8 | low;
                    jumps += 1;
                    if to >= at || jumps > MAX_JUMPS {
                        return Err(Bad::Damaged);
                    }
                    at = to;
                }
                _ => return Err(Bad::Damaged),
            }
            if name.len() > MAX_NAME_BYTES {
                return Err(Bad::Damaged);
            }
        }
        self.at = end.unwrap_or(at + 1);
        Ok(name)
    }
}
