//! The messages that nodes send each other, and their bytes.
//!
//! A link has two phases: the greeting, with messages that are small and few, and after it the open
//! link. Each kind belongs to one phase and exists since some version of the protocol; a link reads
//! the kinds of its phase and version and no others. The bytes are written down in
//! `docs/wire-format.md`, and the golden bytes in `message/tests.rs` never change for a version
//! that was released.

#[cfg(test)]
mod tests;

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::address::Address;
use crate::frame::{self, Body, Fields, HEAD_BYTES, Wrong};
use crate::name::{ClusterName, Incarnation, NodeName, Versions};

/// What a greeting begins with: whoever speaks something else is told apart at once.
pub(crate) const MAGIC: [u8; 8] = *b"LDRMESH1";

/// Longest frame before the other side has proven that it knows the secret. The longest greeting,
/// with three names of 253 bytes, is shorter.
pub const MAX_GREETING_BYTES: usize = 1024;

/// LIMIT: members that one message tells of: as many as the table of members holds.
pub const MAX_MEMBERS: usize = 256;

/// Where a node says that it can be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// At the address from which it is seen, on this port.
    Port(u16),
    /// At this address.
    At(Address),
}

/// The longest message about so many members, in bytes, with names and hosts of 253 each.
const MEMBERS_BYTES: usize = 2 + MAX_MEMBERS * (1 + 253 + 1 + 253 + 2);

/// What a node says of itself when it greets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Card {
    pub(crate) versions: Versions,
    pub(crate) name: NodeName,
    pub(crate) incarnation: Incarnation,
    pub(crate) reach: Reach,
    pub(crate) nonce: [u8; 32],
}

/// Why a node does not want a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The other belongs to another cluster.
    OtherCluster,
    /// There is no version of messages that both read.
    NoCommonVersion,
    /// It is this node itself.
    Itself,
    /// The other does not know the secret, or what it said was changed on the way.
    WrongSecret,
    /// Another node of this name is there and alive.
    NameTaken,
    /// The two have a link, or are about to have one.
    Duplicate,
    /// The members are fixed, and the other is none.
    NotAMember,
    /// The table of members is full.
    Full,
    /// One side speaks TLS and the other does not.
    Tls,
    /// This node is going.
    Leaving,
}

impl Refusal {
    /// All, by their number on the wire, which begins with 1.
    pub const ALL: [Refusal; 10] = [
        Refusal::OtherCluster,
        Refusal::NoCommonVersion,
        Refusal::Itself,
        Refusal::WrongSecret,
        Refusal::NameTaken,
        Refusal::Duplicate,
        Refusal::NotAMember,
        Refusal::Full,
        Refusal::Tls,
        Refusal::Leaving,
    ];

    fn number(self) -> u8 {
        let at = Refusal::ALL.iter().position(|refusal| *refusal == self);
        at.map_or(0, |at| at as u8 + 1)
    }

    fn from_number(number: u8) -> Option<Refusal> {
        let at = usize::from(number).checked_sub(1)?;
        Refusal::ALL.get(at).copied()
    }

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::OtherCluster => "other_cluster",
            Refusal::NoCommonVersion => "no_common_version",
            Refusal::Itself => "itself",
            Refusal::WrongSecret => "wrong_secret",
            Refusal::NameTaken => "name_taken",
            Refusal::Duplicate => "duplicate",
            Refusal::NotAMember => "not_a_member",
            Refusal::Full => "full",
            Refusal::Tls => "tls",
            Refusal::Leaving => "leaving",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::OtherCluster => "it belongs to another cluster; compare the cluster names",
            Refusal::NoCommonVersion => "there is no message version that both nodes read",
            Refusal::Itself => "it is this node itself",
            Refusal::WrongSecret => "the secrets differ; give every node the same one",
            Refusal::NameTaken => "another node of this name is alive; give each node its own",
            Refusal::Duplicate => "the two nodes have a link already",
            Refusal::NotAMember => "it is not in the configured list of members",
            Refusal::Full => "the table of members is full",
            Refusal::Tls => "one side uses TLS and the other does not; compare `mesh.tls`",
            Refusal::Leaving => "it is shutting down",
        })
    }
}

/// A message of the mesh itself, or one of those who use it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    /// The first message, of the one who dialled.
    Hello(ClusterName, Card),
    /// The answer to it.
    Challenge(Card),
    /// The dialler knows the secret.
    Proof([u8; 32]),
    /// The acceptor knows it too, and the link is open.
    Welcome([u8; 32]),
    /// There will be no link.
    Refused(Refusal),
    /// The sender lives; the number is its own and comes back.
    Heartbeat(u64),
    /// The number of the heartbeat that has just been read.
    Echo(u64),
    /// Members to which the sender has links, at most [`MAX_MEMBERS`].
    Members(Vec<(NodeName, Address)>),
    /// The sender leaves; nothing comes after it.
    Goodbye,
    /// A message of those who use the mesh.
    Payload(Bytes),
}

/// Up to where a link has come: which kinds of messages it reads, and how long they may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Greeting,
    /// The version on which the two nodes agreed, and the longest payload.
    Open {
        version: u16,
        most: usize,
    },
}

const HELLO: u8 = 1;
const CHALLENGE: u8 = 2;
const PROOF: u8 = 3;
const WELCOME: u8 = 4;
const REFUSED: u8 = 5;
const HEARTBEAT: u8 = 16;
const ECHO: u8 = 17;
const MEMBERS: u8 = 18;
const GOODBYE: u8 = 19;
pub(crate) const PAYLOAD: u8 = 32;

/// Every kind: its number, its name, whether it belongs to the greeting, and since which version
/// of messages it exists on an open link.
const KINDS: [(u8, &str, bool, u16); 10] = [
    (HELLO, "hello", true, 0),
    (CHALLENGE, "challenge", true, 0),
    (PROOF, "proof", true, 0),
    (WELCOME, "welcome", true, 0),
    (REFUSED, "refused", true, 0),
    (HEARTBEAT, "heartbeat", false, 1),
    (ECHO, "echo", false, 1),
    (MEMBERS, "members", false, 1),
    (GOODBYE, "goodbye", false, 1),
    (PAYLOAD, "payload", false, 1),
];

/// Takes the next message from the front of what has arrived; none if it is not all there.
///
/// # Errors
///
/// Whatever is not a whole and sound message of a kind that this phase and version read.
pub(crate) fn take(arrived: &mut BytesMut, phase: Phase) -> Result<Option<Message>, Wrong> {
    let most = match phase {
        Phase::Greeting => MAX_GREETING_BYTES,
        Phase::Open { most, .. } => most.max(MEMBERS_BYTES) + 1,
    };
    let Some((kind, body)) = frame::take(arrived, most)? else {
        return Ok(None);
    };
    let known = KINDS.iter().find(|known| known.0 == kind);
    let Some((_, name, is_greeting, since)) = known.copied() else {
        return Err(Wrong::UnknownKind(kind));
    };
    match phase {
        Phase::Open { version, .. } if since > version => return Err(Wrong::UnknownKind(kind)),
        _ if is_greeting != (phase == Phase::Greeting) => return Err(Wrong::NotNow(name)),
        Phase::Open { most, .. } if kind == PAYLOAD && body.len() > most => {
            let bytes = body.len();
            return Err(Wrong::TooLong { bytes, most });
        }
        _ => {}
    }
    decode(kind, body).map(Some).ok_or(Wrong::Body(name))
}

fn decode(kind: u8, body: Bytes) -> Option<Message> {
    if kind == PAYLOAD {
        return Some(Message::Payload(body));
    }
    let mut fields = Fields(&body);
    let message = match kind {
        HELLO => {
            if fields.array()? != MAGIC {
                return None;
            }
            let cluster = ClusterName::new(fields.text()?).ok()?;
            Message::Hello(cluster, read_card(&mut fields)?)
        }
        CHALLENGE => Message::Challenge(read_card(&mut fields)?),
        PROOF => Message::Proof(fields.array()?),
        WELCOME => Message::Welcome(fields.array()?),
        REFUSED => Message::Refused(Refusal::from_number(fields.u8()?)?),
        HEARTBEAT => Message::Heartbeat(fields.u64()?),
        ECHO => Message::Echo(fields.u64()?),
        MEMBERS => Message::Members(read_members(&mut fields)?),
        GOODBYE => Message::Goodbye,
        _ => return None,
    };
    fields.end()?;
    Some(message)
}

fn read_card(fields: &mut Fields<'_>) -> Option<Card> {
    Some(Card {
        versions: Versions {
            oldest: fields.u16()?,
            newest: fields.u16()?,
        },
        name: NodeName::new(fields.text()?).ok()?,
        incarnation: Incarnation(fields.u64()?),
        reach: match (fields.text()?, fields.u16()?) {
            (_, 0) => return None,
            ("", port) => Reach::Port(port),
            (host, port) => Reach::At(Address::of(host, port)?),
        },
        nonce: fields.array()?,
    })
}

fn read_members(fields: &mut Fields<'_>) -> Option<Vec<(NodeName, Address)>> {
    let count = usize::from(fields.u16()?);
    if count > MAX_MEMBERS {
        return None;
    }
    // Grows with what is there, not with what was announced.
    let mut members = Vec::new();
    for _ in 0..count {
        let name = NodeName::new(fields.text()?).ok()?;
        members.push((name, Address::of(fields.text()?, fields.u16()?)?));
    }
    Some(members)
}

impl Message {
    /// As it is called in errors.
    pub(crate) fn kind(&self) -> &'static str {
        let number = self.parts().0;
        let known = KINDS.iter().find(|known| known.0 == number);
        known.map_or("", |known| known.1)
    }

    /// The kind and the body.
    fn parts(&self) -> (u8, Bytes) {
        let body = Body::default();
        match self {
            Message::Hello(cluster, card) => {
                let body = body.raw(&MAGIC).text(cluster.as_str());
                (HELLO, write_card(body, card).done())
            }
            Message::Challenge(card) => (CHALLENGE, write_card(body, card).done()),
            Message::Proof(signature) => (PROOF, body.raw(signature).done()),
            Message::Welcome(signature) => (WELCOME, body.raw(signature).done()),
            Message::Refused(refusal) => (REFUSED, body.u8(refusal.number()).done()),
            Message::Heartbeat(number) => (HEARTBEAT, body.u64(*number).done()),
            Message::Echo(number) => (ECHO, body.u64(*number).done()),
            Message::Members(members) => {
                let told = &members[..members.len().min(MAX_MEMBERS)];
                let body = told
                    .iter()
                    .fold(body.u16(told.len() as u16), |body, member| {
                        let (name, address) = member;
                        let body = body.text(name.as_str());
                        body.text(address.host()).u16(address.port())
                    });
                (MEMBERS, body.done())
            }
            Message::Goodbye => (GOODBYE, body.done()),
            Message::Payload(bytes) => (PAYLOAD, bytes.clone()),
        }
    }

    /// Appends the frame of this message.
    pub(crate) fn put(&self, buffer: &mut BytesMut) {
        let (kind, body) = self.parts();
        buffer.reserve(HEAD_BYTES + body.len());
        buffer.put_slice(&frame::head(kind, body.len()));
        buffer.put_slice(&body);
    }

    /// The frame of this message.
    pub(crate) fn frame(&self) -> Bytes {
        let mut buffer = BytesMut::new();
        self.put(&mut buffer);
        buffer.freeze()
    }
}

fn write_card(body: Body, card: &Card) -> Body {
    let (host, port) = match &card.reach {
        Reach::Port(port) => ("", *port),
        Reach::At(address) => (address.host(), address.port()),
    };
    body.u16(card.versions.oldest)
        .u16(card.versions.newest)
        .text(card.name.as_str())
        .u64(card.incarnation.0)
        .text(host)
        .u16(port)
        .raw(&card.nonce)
}
