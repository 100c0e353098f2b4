//! The state of one connection as commands see it: who it is, what it speaks, where it looks.

mod client;
mod clients;
mod lives;
mod shared;

use std::sync::Arc;

use bytes::BytesMut;
use larder::bytes::Database;
use larder_resp::{Limits, Protocol};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

pub(crate) use client::Client;
pub(crate) use clients::Clients;
pub(crate) use shared::Shared;

/// The only user.
pub(crate) const DEFAULT_USER: &[u8] = b"default";

/// After so many wrong passwords the connection is closed: guessing should cost a handshake.
const MOST_FAILURES: u8 = 3;

/// Whether replies are sent, as set by `CLIENT REPLY`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Replies {
    On,
    Off,
    /// Not for so many commands, the present one included.
    Skip(u8),
}

/// One connection's state.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    /// The part that other connections may see.
    pub(crate) client: Arc<Client>,
    pub(crate) protocol: Protocol,
    pub(crate) replies: Replies,
    database: Database,
    authenticated: bool,
    failures: u8,
    closing: bool,
    commands: u32,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Client>) -> Session {
        Session {
            database: shared.node.cache.database(0),
            authenticated: shared.password().is_none(),
            shared,
            client,
            protocol: Protocol::Resp2,
            replies: Replies::On,
            failures: 0,
            closing: false,
            commands: 0,
        }
    }

    /// Back to the state of a new connection.
    pub(crate) fn reset(&mut self) {
        self.authenticated = !self.has_password();
        self.replies = Replies::On;
        self.client.set_name(b"");
        self.set_protocol(Protocol::Resp2);
        self.select(0);
    }

    // ===== authentication =====

    pub(crate) fn has_password(&self) -> bool {
        self.shared.password().is_some()
    }

    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Checks the credentials; repeated failures close the connection.
    pub(crate) fn authenticate(&mut self, user: &[u8], password: &[u8]) -> bool {
        let expected = self.shared.password().map(ExposeSecret::expose_secret);
        let is_right = expected.is_none_or(|expected| {
            // In constant time, so that a guess does not tell how much of it was right.
            expected.as_bytes().ct_eq(password).into()
        });
        let passes = is_right && user == DEFAULT_USER;
        if passes {
            self.authenticated = true;
        } else {
            self.failures = self.failures.saturating_add(1);
            self.closing |= self.failures >= MOST_FAILURES;
        }
        passes
    }

    /// What the peer may send, given what is known of it.
    pub(crate) fn limits(&self) -> Limits {
        if !self.authenticated {
            return Limits::unauthenticated();
        }
        let settings = &self.shared.node.settings.resp;
        let limits = Limits {
            max_args: settings.max_args,
            ..Limits::default()
        };
        limits.with_max_bulk(settings.max_value)
    }

    // ===== state that commands change =====

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn select(&mut self, number: u8) {
        self.database = self.shared.node.cache.database(number);
        self.client.set_database(number);
        self.shared.note_database(number);
    }

    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.client.set_protocol(protocol);
    }

    /// No further command is run; what has been answered is still sent.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    // ===== per command =====

    #[inline]
    pub(crate) fn note_command(&self, index: usize) {
        self.client.set_command(index);
    }

    /// True once in so many calls.
    #[inline]
    pub(crate) fn is_sampled(&mut self, once_in: u32) -> bool {
        self.commands = self.commands.wrapping_add(1);
        self.commands.is_multiple_of(once_in)
    }

    /// Takes back a reply that the peer does not want.
    pub(crate) fn silence(&mut self, start: usize, out: &mut BytesMut) {
        match self.replies {
            Replies::On => return,
            Replies::Off => {}
            Replies::Skip(0 | 1) => self.replies = Replies::On,
            Replies::Skip(left) => self.replies = Replies::Skip(left - 1),
        }
        out.truncate(start);
    }
}
