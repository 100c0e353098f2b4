//! The length-prefixed form: `*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n`.
//!
//! A resumable walk over the front of the buffer. Every announced length is checked against the
//! limits before a byte of what it announces is awaited.

use super::spans::{Span, Spans};
use crate::line::{self, Line};
use crate::{Limits, ProtocolError, number};

/// How far the walk over the command at the front of the buffer has come.
#[derive(Default)]
pub(super) struct Multibulk {
    /// The first byte not yet understood.
    position: usize,
    /// Bytes after the type byte at `position` already searched for a line end.
    scanned: usize,
    /// Arguments not yet complete; 0 until the count is known.
    owed: usize,
    /// The length of the argument that starts at `position`, once its length line is read.
    argument: Option<usize>,
    spans: Spans,
}

/// What a walk over the buffer came to.
pub(super) enum Step {
    /// The command continues past the buffer.
    Incomplete,
    /// A command without arguments, of `len` bytes.
    Empty { len: usize },
    /// A command of `len` bytes.
    Complete { len: usize, spans: Spans },
}

/// What a length line holds.
enum Length {
    Known(i64),
    Incomplete,
    TooLong,
    Invalid,
}

impl Multibulk {
    /// Continues the walk. After `Empty` and `Complete` the caller drops `len` bytes.
    #[inline]
    pub(super) fn step(&mut self, bytes: &[u8], limits: &Limits) -> Result<Step, ProtocolError> {
        if self.owed == 0 {
            match self.count(bytes, limits)? {
                None => return Ok(Step::Incomplete),
                Some(0) => {
                    let len = std::mem::take(&mut self.position);
                    return Ok(Step::Empty { len });
                }
                Some(count) => self.owed = count,
            }
        }
        while self.owed > 0 {
            let Some(len) = self.argument(bytes, limits)? else {
                return Ok(Step::Incomplete);
            };
            let end = self.position + len;
            match bytes.get(end..end + 2) {
                Some(b"\r\n") => {}
                Some(_) => return Err(ProtocolError::InvalidBulkLength),
                None => {
                    self.argument = Some(len);
                    return Ok(Step::Incomplete);
                }
            }
            self.spans.push(Span::new(self.position, len));
            self.position = end + 2;
            self.argument = None;
            self.owed -= 1;
        }
        // The other fields are back at their beginnings by now.
        let len = std::mem::take(&mut self.position);
        let spans = std::mem::take(&mut self.spans);
        Ok(Step::Complete { len, spans })
    }

    /// Returns how many bytes are known to be lacking, given how many are there.
    pub(super) fn missing(&self, buffered: usize) -> usize {
        self.argument
            .map_or(0, |len| (self.position + len + 2).saturating_sub(buffered))
    }

    /// Reads the line with the number of arguments.
    #[inline]
    fn count(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let count = match self.length(bytes, limits.max_inline) {
            Length::Known(count) => count,
            Length::Incomplete => return Ok(None),
            Length::TooLong => return Err(ProtocolError::CountTooLong),
            Length::Invalid => return Err(ProtocolError::InvalidMultibulkLength),
        };
        match usize::try_from(count) {
            Err(_) => Ok(Some(0)),
            Ok(count) if count > limits.max_args => Err(too_many_args(limits)),
            Ok(count) => Ok(Some(count)),
        }
    }

    /// Reads the line with the length of an argument, unless that has been done.
    #[inline]
    fn argument(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        if self.argument.is_some() {
            return Ok(self.argument);
        }
        match bytes.get(self.position) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(&other) => return Err(ProtocolError::ExpectedBulk(other)),
        }
        let len = match self.length(bytes, limits.max_inline) {
            Length::Known(len) => len,
            Length::Incomplete => return Ok(None),
            Length::TooLong => return Err(ProtocolError::BulkCountTooLong),
            Length::Invalid => return Err(ProtocolError::InvalidBulkLength),
        };
        let len = usize::try_from(len).map_err(|_| ProtocolError::InvalidBulkLength)?;
        if len > limits.max_bulk {
            return Err(match limits.authenticated {
                true => ProtocolError::InvalidBulkLength,
                false => ProtocolError::UnauthenticatedBulkLength,
            });
        }
        // Spans count in 32 bits, hence the second bound.
        let largest = limits.max_command_bytes.min(u32::MAX as usize);
        if self.position.saturating_add(len).saturating_add(2) > largest {
            return Err(ProtocolError::CommandTooLarge);
        }
        Ok(Some(len))
    }

    /// Reads the number between the type byte at `position` and the end of its line, and moves
    /// behind that line.
    #[inline]
    fn length(&mut self, bytes: &[u8], max_line: usize) -> Length {
        // Nearly all lengths are one or two digits; they need no search.
        let (value, width) = match bytes.get(self.position + 1..) {
            Some([a @ b'0'..=b'9', b'\r', b'\n', ..]) => (a - b'0', 1),
            Some([a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..]) => {
                ((a - b'0') * 10 + (b - b'0'), 2)
            }
            _ => return self.any_length(bytes, max_line),
        };
        self.position += width + 3;
        self.scanned = 0;
        Length::Known(i64::from(value))
    }

    fn any_length(&mut self, bytes: &[u8], max_line: usize) -> Length {
        let start = self.position + 1;
        match line::find(bytes, start, &mut self.scanned, max_line) {
            Line::Incomplete => Length::Incomplete,
            Line::TooLong => Length::TooLong,
            Line::Broken => Length::Invalid,
            Line::Ends(end) => {
                self.position = end + 2;
                number::parse_i64(&bytes[start..end]).map_or(Length::Invalid, Length::Known)
            }
        }
    }
}

/// Returns the error for a command with more arguments than the limits allow.
pub(super) fn too_many_args(limits: &Limits) -> ProtocolError {
    match limits.authenticated {
        true => ProtocolError::InvalidMultibulkLength,
        false => ProtocolError::UnauthenticatedMultibulkLength,
    }
}

impl std::fmt::Debug for Multibulk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Multibulk")
            .field("position", &self.position)
            .field("owed", &self.owed)
            .field("argument", &self.argument)
            .finish_non_exhaustive()
    }
}
