//! Builds the value of a reply of which all bytes are there.
//!
//! Runs after the scanner, which has checked framing, lengths, depth and limits. What is left to
//! find are values that do not have the form of their type.

use bytes::Bytes;

use super::{Reply, ReplyError};
use crate::number;

/// Builds a reply from exactly its bytes.
pub(super) fn build(frame: Bytes) -> Result<Reply, ReplyError> {
    Builder { frame, position: 0 }.value()
}

struct Builder {
    frame: Bytes,
    position: usize,
}

impl Builder {
    /// Recursion is bounded by the depth the scanner admits.
    fn value(&mut self) -> Result<Reply, ReplyError> {
        loop {
            let kind = self.frame[self.position];
            self.position += 1;
            let text = self.line();
            let reply = match kind {
                b'+' => Reply::Simple(text),
                b'-' => Reply::Error(text),
                b':' => Reply::Integer(number::parse_i64(&text).ok_or(ReplyError::InvalidValue)?),
                b',' => Reply::Double(number::parse_f64(&text).ok_or(ReplyError::InvalidValue)?),
                b'(' => big_number(text)?,
                b'#' => boolean(&text)?,
                b'_' if text.is_empty() => Reply::Null,
                b'$' if text == b"-1".as_slice() => Reply::Null,
                b'*' if text == b"-1".as_slice() => Reply::NullArray,
                b'$' => Reply::Bulk(self.string(&text)?),
                b'!' => Reply::Error(self.string(&text)?),
                b'=' => verbatim(self.string(&text)?)?,
                b'*' => Reply::Array(self.items(&text)?),
                b'~' => Reply::Set(self.items(&text)?),
                b'>' => Reply::Push(self.items(&text)?),
                b'%' => Reply::Map(self.pairs(&text)?),
                b'|' => {
                    self.pairs(&text)?;
                    continue;
                }
                _ => return Err(ReplyError::InvalidValue),
            };
            return Ok(reply);
        }
    }

    /// Takes the rest of the current line.
    fn line(&mut self) -> Bytes {
        let rest = &self.frame[self.position..];
        let len = rest
            .iter()
            .position(|&byte| byte == b'\r')
            .unwrap_or(rest.len());
        self.take(len)
    }

    fn string(&mut self, length: &[u8]) -> Result<Bytes, ReplyError> {
        let len = length_of(length)?;
        Ok(self.take(len))
    }

    fn items(&mut self, length: &[u8]) -> Result<Vec<Reply>, ReplyError> {
        (0..length_of(length)?).map(|_| self.value()).collect()
    }

    fn pairs(&mut self, length: &[u8]) -> Result<Vec<(Reply, Reply)>, ReplyError> {
        (0..length_of(length)?)
            .map(|_| Ok((self.value()?, self.value()?)))
            .collect()
    }

    /// Takes `len` bytes and steps over the line end behind them.
    fn take(&mut self, len: usize) -> Bytes {
        let end = self.position + len;
        let taken = self.frame.slice(self.position..end);
        self.position = end + 2;
        taken
    }
}

fn length_of(text: &[u8]) -> Result<usize, ReplyError> {
    number::parse_length(text).ok_or(ReplyError::InvalidLength)
}

fn big_number(text: Bytes) -> Result<Reply, ReplyError> {
    let digits = text.strip_prefix(b"-").unwrap_or(&text);
    match !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        true => Ok(Reply::BigNumber(text)),
        false => Err(ReplyError::InvalidValue),
    }
}

fn boolean(text: &[u8]) -> Result<Reply, ReplyError> {
    match text {
        b"t" => Ok(Reply::Boolean(true)),
        b"f" => Ok(Reply::Boolean(false)),
        _ => Err(ReplyError::InvalidValue),
    }
}

fn verbatim(body: Bytes) -> Result<Reply, ReplyError> {
    match *body {
        [a, b, c, b':', ..] => Ok(Reply::Verbatim {
            format: [a, b, c],
            text: body.slice(4..),
        }),
        _ => Err(ReplyError::InvalidValue),
    }
}
