//! How much one peer may make us hold.
//!
//! Limits are checked against the *announced* size, before the bytes arrive, and the buffers grow
//! only with the bytes that did arrive. Both halves are needed: the first bounds a peer that
//! sends, the second a peer that only promises.

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Limits on one request.
///
/// A request that passes a limit is a [`ProtocolError`](crate::ProtocolError): the connection
/// cannot go on, since the rest of the request cannot be skipped cheaply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of arguments, the command name included.
    pub max_args: usize,
    /// The largest argument, in bytes.
    pub max_bulk: usize,
    /// The longest inline command or length line, in bytes, without its `\n`.
    pub max_inline: usize,
    /// The largest whole request as sent, in bytes. Values above `u32::MAX` count as `u32::MAX`.
    pub max_command_bytes: usize,
    /// Whether the peer has authenticated. It changes no limit, only which error is reported.
    pub authenticated: bool,
}

impl Limits {
    /// Returns the limits for a peer that has yet to authenticate.
    ///
    /// `HELLO 3 AUTH <user> <password> SETNAME <name>` fits with room to spare; anything a
    /// stranger could use to make the server hold memory does not.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self {
            max_args: 10,
            max_bulk: 16 * KIB,
            max_inline: 16 * KIB,
            max_command_bytes: 32 * KIB,
            authenticated: false,
        }
    }

    /// Returns these limits with another largest argument, and room for it in the whole request.
    #[must_use]
    pub fn with_max_bulk(self, max_bulk: usize) -> Self {
        Self {
            max_bulk,
            max_command_bytes: max_bulk.saturating_add(64 * KIB),
            ..self
        }
    }
}

impl Default for Limits {
    /// 65 536 arguments, 16 MiB each, 64 KiB inline, and 16 MiB + 64 KiB for the whole request.
    fn default() -> Self {
        Self {
            max_args: 65_536,
            max_bulk: 16 * MIB,
            max_inline: 64 * KIB,
            max_command_bytes: 16 * MIB + 64 * KIB,
            authenticated: true,
        }
    }
}

/// Limits on one reply, as read by a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// The deepest nesting of arrays, maps, sets, pushes and attributes. Counts as at most 256,
    /// because a reply is built by recursion.
    pub max_depth: usize,
    /// The largest string, in bytes.
    pub max_bulk: usize,
    /// The longest line, in bytes, without its line end.
    pub max_line: usize,
    /// The largest number of values in one array, map (keys and values), set or push.
    pub max_items: usize,
    /// The largest whole reply as sent, in bytes.
    pub max_reply_bytes: usize,
}

impl Default for ReplyLimits {
    /// Depth 32, strings of 512 MiB, lines of 64 KiB, 16 Mi values, and 1 GiB in all.
    fn default() -> Self {
        Self {
            max_depth: 32,
            max_bulk: 512 * MIB,
            max_line: 64 * KIB,
            max_items: 16 * MIB,
            max_reply_bytes: 1024 * MIB,
        }
    }
}
