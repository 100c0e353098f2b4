//! Answers of the server, item by item.

use std::vec;

use bytes::Bytes;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::runtime::Timestamp;
use redis::Value;

/// The items of an array, taken in order.
pub(crate) struct Reply {
    /// The server's time at the answer of a script; zero for other answers.
    pub(crate) time: Timestamp,
    items: vec::IntoIter<Value>,
}

impl Reply {
    pub(crate) fn of(value: Value) -> Result<Reply> {
        Ok(Reply {
            time: Timestamp(0),
            items: array(value)?.into_iter(),
        })
    }

    /// How many items are left.
    pub(crate) fn left(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn next(&mut self) -> Result<Value> {
        self.items.next().ok_or_else(|| unexpected("one more item"))
    }

    pub(crate) fn int(&mut self) -> Result<i64> {
        int(&self.next()?)
    }

    /// A number that cannot be negative.
    pub(crate) fn number(&mut self) -> Result<u64> {
        u64::try_from(self.int()?).map_err(|_| unexpected("a number from 0 on"))
    }

    /// Bytes, or `None` for nothing.
    pub(crate) fn bytes(&mut self) -> Result<Option<Bytes>> {
        bytes(self.next()?)
    }
}

/// The items of an array.
pub(crate) fn array(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(unexpected("an array")),
    }
}

/// Bytes, or `None` for nothing.
pub(crate) fn bytes(value: Value) -> Result<Option<Bytes>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        Value::SimpleString(text) => Ok(Some(Bytes::from(text))),
        _ => Err(unexpected("bytes")),
    }
}

/// An integer, as one or as text.
pub(crate) fn int(value: &Value) -> Result<i64> {
    let number = match value {
        Value::Int(number) => Some(*number),
        Value::BulkString(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok()),
        _ => None,
    };
    number.ok_or_else(|| unexpected("a number"))
}

/// The answer to `TIME` in milliseconds.
pub(crate) fn time_ms(value: Value) -> Result<u64> {
    let mut reply = Reply::of(value)?;
    let (seconds, micros) = (reply.number()?, reply.number()?);
    Ok(seconds * 1_000 + micros / 1_000)
}

/// An answer of another shape than asked for: not the server that we think it is.
pub(crate) fn unexpected(wanted: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the Redis server gave an answer of the wrong shape: {wanted} was expected"),
    )
}
