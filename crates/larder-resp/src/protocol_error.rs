//! Why a stream of requests cannot be continued.

use std::fmt;

/// The reason a [`RequestDecoder`](crate::RequestDecoder) gave up on its stream.
///
/// `Display` gives the text that clients know from Redis. A server answers `-ERR <text>` once and
/// closes; [`HttpRequest`](Self::HttpRequest) and [`TlsClientHello`](Self::TlsClientHello) deserve
/// an answer in the peer's own language instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// An argument did not start with `$`; holds the byte that stood there.
    ExpectedBulk(u8),
    /// The length of an argument is no number, negative, above the limit, or not where the
    /// argument ends.
    InvalidBulkLength,
    /// The number of arguments is no number, or above the limit.
    InvalidMultibulkLength,
    /// An inline command opens a quote and does not close it, or goes on right after a closing one.
    UnbalancedQuotes,
    /// An inline command is longer than [`Limits::max_inline`](crate::Limits::max_inline).
    InlineTooLong,
    /// The line with the number of arguments is longer than an inline command may be.
    CountTooLong,
    /// The line with the length of an argument is longer than an inline command may be.
    BulkCountTooLong,
    /// A peer that has yet to authenticate announced too many arguments.
    UnauthenticatedMultibulkLength,
    /// A peer that has yet to authenticate announced too large an argument.
    UnauthenticatedBulkLength,
    /// The request as a whole is larger than
    /// [`Limits::max_command_bytes`](crate::Limits::max_command_bytes).
    CommandTooLarge,
    /// The peer speaks HTTP. Its headers and body must never be run as commands.
    HttpRequest,
    /// The peer opened a TLS handshake on a port that does not speak it.
    TlsClientHello,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            Self::ExpectedBulk(got) => {
                return write!(f, "expected '$', got '{}'", char::from(*got));
            }
            Self::InvalidBulkLength => "invalid bulk length",
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::InlineTooLong => "too big inline request",
            Self::CountTooLong => "too big mbulk count string",
            Self::BulkCountTooLong => "too big bulk count string",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::CommandTooLarge => "too big request",
            Self::HttpRequest => "HTTP request on the RESP port",
            Self::TlsClientHello => "TLS handshake on a plain-text port",
        })
    }
}

impl std::error::Error for ProtocolError {}
