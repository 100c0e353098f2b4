//! Why a stream of replies cannot be continued.

use std::fmt;

/// The reason a [`ReplyDecoder`](crate::ReplyDecoder) gave up on its stream.
///
/// The position of the next reply is unknown after any of these, so the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// A value starts with a byte that stands for no type; holds that byte.
    UnknownType(u8),
    /// A length is no number, is negative, or is not where its value ends.
    InvalidLength,
    /// A value does not have the form of its type.
    InvalidValue,
    /// A `\r` is not followed by `\n`.
    BrokenLine,
    /// A line is longer than [`ReplyLimits::max_line`](crate::ReplyLimits::max_line).
    LineTooLong,
    /// A string is longer than [`ReplyLimits::max_bulk`](crate::ReplyLimits::max_bulk).
    BulkTooLarge,
    /// A collection is larger than [`ReplyLimits::max_items`](crate::ReplyLimits::max_items).
    TooManyItems,
    /// Collections nest deeper than [`ReplyLimits::max_depth`](crate::ReplyLimits::max_depth).
    TooDeep,
    /// The reply is larger than
    /// [`ReplyLimits::max_reply_bytes`](crate::ReplyLimits::max_reply_bytes).
    ReplyTooLarge,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownType(byte) => {
                return write!(
                    f,
                    "reply starts with unknown type '{}'",
                    byte.escape_ascii()
                );
            }
            Self::InvalidLength => "reply has an invalid length",
            Self::InvalidValue => "reply has a malformed value",
            Self::BrokenLine => "reply has a carriage return without a line feed",
            Self::LineTooLong => "reply has a line above the limit",
            Self::BulkTooLarge => "reply has a string above the limit",
            Self::TooManyItems => "reply has a collection above the limit",
            Self::TooDeep => "reply nests too deep",
            Self::ReplyTooLarge => "reply is above the size limit",
        })
    }
}

impl std::error::Error for ReplyError {}
