//! The greeting: two nodes prove to each other that they know the secret of one cluster.
//!
//! ```text
//! dialler                                  acceptor
//!    │ hello: cluster, card, nonce            │
//!    │ ─────────────────────────────────────► │ another cluster, itself, no version: refused
//!    │             challenge: card, nonce     │
//!    │ ◄───────────────────────────────────── │
//!    │ proof: HMAC(secret, "dialler", all)    │
//!    │ ─────────────────────────────────────► │ does not verify: refused
//!    │        welcome: HMAC(.., "acceptor")   │
//!    │ ◄───────────────────────────────────── │
//! ```
//!
//! *All* is the hello and the challenge, byte for byte, and what names the TLS session below, if
//! there is one. So a proof cannot be played again (both nonces are fresh), nor sent back to who
//! made it (the roles differ), nor used for another pair, cluster, life, address or range of
//! versions (they are signed), nor be passed on by somebody in the middle of two TLS sessions (each
//! has its own name). The dialler proves first: who merely finds the port learns nothing to try
//! secrets on.
//!
//! Pure: nonces are given, and what is sent is returned. Each step consumes the one before, so no
//! step can be left out. Deadlines are the rim's.

#[cfg(test)]
mod tests;

use crate::message::{Card, Message, Reach, Refusal};
use crate::name::{ClusterName, Incarnation, NodeName, Versions};
use crate::secret::Secret;

/// Fresh random bytes, from a source that nobody can foresee.
pub(crate) type Nonce = [u8; 32];

/// What a node says of itself in every greeting, and what it signs with.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) cluster: ClusterName,
    pub(crate) name: NodeName,
    pub(crate) incarnation: Incarnation,
    pub(crate) versions: Versions,
    pub(crate) reach: Reach,
    pub(crate) secret: Secret,
}

/// What the greeting is tied to below: the exported key of a TLS session, or nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Binding {
    Plain,
    Tls([u8; 32]),
}

/// The other side. Before the last step it is only what somebody claims to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Other {
    pub(crate) name: NodeName,
    pub(crate) incarnation: Incarnation,
    pub(crate) reach: Reach,
    /// The version of messages for the two.
    pub(crate) version: u16,
}

const DIALLER: &[u8] = b"larder mesh 1 dialler";
const ACCEPTOR: &[u8] = b"larder mesh 1 acceptor";

/// What both sides have seen of the greeting.
struct Transcript {
    hello: Vec<u8>,
    challenge: Vec<u8>,
    binding: Vec<u8>,
}

impl Transcript {
    fn new(hello: &Message, challenge: &Message, binding: Binding) -> Transcript {
        let mut bound = Vec::with_capacity(33);
        match binding {
            Binding::Plain => bound.push(0),
            Binding::Tls(key) => {
                bound.push(1);
                bound.extend_from_slice(&key);
            }
        }
        Transcript {
            // Frames begin with their length, so that no two transcripts have the same bytes.
            hello: hello.frame().to_vec(),
            challenge: challenge.frame().to_vec(),
            binding: bound,
        }
    }

    fn sign(&self, secret: &Secret, role: &[u8]) -> [u8; 32] {
        secret.sign(&[role, &self.hello, &self.challenge, &self.binding])
    }

    fn verifies(&self, secret: &Secret, role: &[u8], signature: &[u8; 32]) -> bool {
        let parts = [role, &self.hello, &self.challenge, &self.binding];
        secret.verifies(&parts, signature)
    }
}

/// A dialler that has said hello.
pub(crate) struct Dialler {
    hello: Message,
    binding: Binding,
}

/// A dialler that knows whom it is talking to, if that is true.
pub(crate) struct Challenged {
    transcript: Transcript,
    other: Other,
}

impl Dialler {
    /// Begins a greeting; the message is to be sent.
    pub(crate) fn begin(me: &Identity, nonce: Nonce, binding: Binding) -> (Dialler, Message) {
        let hello = Message::Hello(me.cluster.clone(), card(me, nonce));
        let dialler = Dialler {
            hello: hello.clone(),
            binding,
        };
        (dialler, hello)
    }

    /// The acceptor has answered.
    pub(crate) fn challenged(
        self,
        me: &Identity,
        challenge: Message,
    ) -> Result<Challenged, Refusal> {
        let Message::Challenge(card) = &challenge else {
            return Err(Refusal::WrongSecret);
        };
        let other = known(me, card)?;
        let transcript = Transcript::new(&self.hello, &challenge, self.binding);
        Ok(Challenged { transcript, other })
    }
}

impl Challenged {
    /// Who it is, if that is true.
    pub(crate) fn other(&self) -> &Other {
        &self.other
    }

    /// The message that shows that this node knows the secret.
    pub(crate) fn proof(&self, me: &Identity) -> Message {
        Message::Proof(self.transcript.sign(&me.secret, DIALLER))
    }

    /// The acceptor says that it knows the secret too. If it does, the link is open.
    pub(crate) fn welcomed(self, me: &Identity, signature: &[u8; 32]) -> Result<Other, Refusal> {
        if !self.transcript.verifies(&me.secret, ACCEPTOR, signature) {
            return Err(Refusal::WrongSecret);
        }
        Ok(self.other)
    }
}

/// An acceptor that has sent its challenge.
pub(crate) struct Acceptor {
    transcript: Transcript,
    other: Other,
}

impl Acceptor {
    /// Somebody has said hello; the message is to be sent.
    pub(crate) fn begin(
        me: &Identity,
        hello: Message,
        nonce: Nonce,
        binding: Binding,
    ) -> Result<(Acceptor, Message), Refusal> {
        let Message::Hello(cluster, theirs) = &hello else {
            return Err(Refusal::WrongSecret);
        };
        if *cluster != me.cluster {
            return Err(Refusal::OtherCluster);
        }
        let other = known(me, theirs)?;
        let challenge = Message::Challenge(card(me, nonce));
        let transcript = Transcript::new(&hello, &challenge, binding);
        Ok((Acceptor { transcript, other }, challenge))
    }

    /// Who it is, if that is true.
    pub(crate) fn other(&self) -> &Other {
        &self.other
    }

    /// The dialler says that it knows the secret. If it does, the message is to be sent, and the
    /// link is open.
    pub(crate) fn proven(
        self,
        me: &Identity,
        signature: &[u8; 32],
    ) -> Result<(Other, Message), Refusal> {
        if !self.transcript.verifies(&me.secret, DIALLER, signature) {
            return Err(Refusal::WrongSecret);
        }
        let welcome = Message::Welcome(self.transcript.sign(&me.secret, ACCEPTOR));
        Ok((self.other, welcome))
    }
}

fn card(me: &Identity, nonce: Nonce) -> Card {
    Card {
        versions: me.versions,
        name: me.name.clone(),
        incarnation: me.incarnation,
        reach: me.reach.clone(),
        nonce,
    }
}

/// What a card says, unless it is one that no link can come of.
fn known(me: &Identity, card: &Card) -> Result<Other, Refusal> {
    if card.name == me.name {
        let is_me = card.incarnation == me.incarnation;
        return Err(if is_me {
            Refusal::Itself
        } else {
            Refusal::NameTaken
        });
    }
    let version = me.versions.common(card.versions);
    Ok(Other {
        name: card.name.clone(),
        incarnation: card.incarnation,
        reach: card.reach.clone(),
        version: version.ok_or(Refusal::NoCommonVersion)?,
    })
}
