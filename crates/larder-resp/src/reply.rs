//! A reply as a value, for commands that build one before writing it, and for clients.

mod writer;

mod scanner;

mod builder;

mod decoder;

mod reply_error;

use bytes::Bytes;

pub use decoder::ReplyDecoder;
pub use reply_error::ReplyError;
pub use writer::ReplyWriter;

/// Any reply of RESP2 or RESP3.
///
/// Doubles compare as `f64` does: a reply that holds a NaN is not equal to itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// A short status, such as `OK`.
    Simple(Bytes),
    /// An error; its first word is the code clients act upon.
    Error(Bytes),
    /// A 64-bit integer.
    Integer(i64),
    /// A string of any bytes.
    Bulk(Bytes),
    /// The absent value.
    Null,
    /// The absent array, which differs from [`Null`](Self::Null) in RESP2 only.
    NullArray,
    /// A list.
    Array(Vec<Reply>),
    /// Pairs in order; in RESP2 an array twice as long.
    Map(Vec<(Reply, Reply)>),
    /// Members in any order; in RESP2 an array.
    Set(Vec<Reply>),
    /// A message that answers no request; in RESP2 an array.
    Push(Vec<Reply>),
    /// A floating point number; in RESP2 a bulk string.
    Double(f64),
    /// A truth value; in RESP2 the integer 1 or 0.
    Boolean(bool),
    /// An integer of any size, as decimal digits; in RESP2 a bulk string.
    BigNumber(Bytes),
    /// Text for people with a three-letter format such as `txt`; in RESP2 a bulk string.
    Verbatim {
        /// The format.
        format: [u8; 3],
        /// The text.
        text: Bytes,
    },
}

impl Reply {
    /// Returns an error reply from text that starts with its code.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::Error(Bytes::from(text.into()))
    }

    /// Returns a bulk string from bytes to be copied.
    #[must_use]
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(Bytes::copy_from_slice(bytes.as_ref()))
    }

    /// Writes this reply in the protocol of the writer.
    pub fn write(&self, writer: &mut ReplyWriter<'_>) {
        match self {
            Self::Simple(text) => writer.simple(text),
            Self::Error(text) => writer.error(text),
            Self::Integer(value) => writer.integer(*value),
            Self::Bulk(bytes) => writer.bulk(bytes),
            Self::Null => writer.null(),
            Self::NullArray => writer.null_array(),
            Self::Double(value) => writer.double(*value),
            Self::Boolean(value) => writer.boolean(*value),
            Self::BigNumber(digits) => writer.big_number(digits),
            Self::Verbatim { format, text } => writer.verbatim(*format, text),
            Self::Array(items) => {
                writer.array_len(items.len());
                write_all(items, writer);
            }
            Self::Set(items) => {
                writer.set_len(items.len());
                write_all(items, writer);
            }
            Self::Push(items) => {
                writer.push_len(items.len());
                write_all(items, writer);
            }
            Self::Map(pairs) => {
                writer.map_len(pairs.len());
                for (key, value) in pairs {
                    key.write(writer);
                    value.write(writer);
                }
            }
        }
    }
}

fn write_all(items: &[Reply], writer: &mut ReplyWriter<'_>) {
    for item in items {
        item.write(writer);
    }
}

#[cfg(test)]
mod tests;
