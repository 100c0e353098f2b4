//! Finds where a reply ends, and that nothing in it passes a limit.

use super::ReplyError;
use crate::line::{self, Line};
use crate::{ReplyLimits, number};

/// How far the walk over the reply at the front of the buffer has come.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// The first byte not yet understood: always the start of a value.
    position: usize,
    /// Bytes of that value's line already searched for the line end.
    scanned: usize,
    /// Values that each open collection still lacks, the outermost first. The reply itself counts
    /// as a collection of one; before it is begun there is none.
    owed: Vec<usize>,
    /// Where the string that starts at `position` will end, if its length is known.
    string_end: usize,
}

impl Scanner {
    /// Continues the walk; returns the length of the reply once all of it is there.
    pub(super) fn step(
        &mut self,
        bytes: &[u8],
        limits: &ReplyLimits,
    ) -> Result<Option<usize>, ReplyError> {
        if self.owed.is_empty() {
            self.owed.push(1);
        }
        while let Some(owed) = self.owed.last() {
            if *owed == 0 {
                self.owed.pop();
            } else if !self.value(bytes, limits)? {
                return Ok(None);
            }
        }
        self.string_end = 0;
        Ok(Some(std::mem::take(&mut self.position)))
    }

    /// Returns how many bytes are known to be lacking, given how many are there.
    pub(super) fn missing(&self, buffered: usize) -> usize {
        self.string_end.saturating_sub(buffered)
    }

    /// Steps over one value, or over the head of a collection. Returns whether it was all there;
    /// if not, nothing has moved.
    fn value(&mut self, bytes: &[u8], limits: &ReplyLimits) -> Result<bool, ReplyError> {
        let Some(&kind) = bytes.get(self.position) else {
            return Ok(false);
        };
        if !b"+-:_,#($!=*~>%|".contains(&kind) {
            return Err(ReplyError::UnknownType(kind));
        }
        let start = self.position + 1;
        let end = match line::find(bytes, start, &mut self.scanned, limits.max_line) {
            Line::Ends(end) => end,
            Line::Incomplete => return Ok(false),
            Line::TooLong => return Err(ReplyError::LineTooLong),
            Line::Broken => return Err(ReplyError::BrokenLine),
        };
        if end + 2 > limits.max_reply_bytes {
            return Err(ReplyError::ReplyTooLarge);
        }
        let text = &bytes[start..end];
        match kind {
            b'$' | b'!' | b'=' => self.string(kind, text, end + 2, bytes, limits),
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                self.open(kind, text, limits)?;
                self.position = end + 2;
                Ok(true)
            }
            _ => {
                self.close(end + 2);
                Ok(true)
            }
        }
    }

    /// Steps over a string whose bytes start at `body`.
    fn string(
        &mut self,
        kind: u8,
        length: &[u8],
        body: usize,
        bytes: &[u8],
        limits: &ReplyLimits,
    ) -> Result<bool, ReplyError> {
        if kind == b'$' && length == b"-1" {
            self.close(body);
            return Ok(true);
        }
        let len = number::parse_length(length).ok_or(ReplyError::InvalidLength)?;
        if len > limits.max_bulk {
            return Err(ReplyError::BulkTooLarge);
        }
        let end = body.saturating_add(len).saturating_add(2);
        if end > limits.max_reply_bytes {
            return Err(ReplyError::ReplyTooLarge);
        }
        // The length line is short and read again when more has arrived; remembering where the
        // string ends is for `missing` alone.
        self.string_end = end;
        match bytes.get(end - 2..end) {
            None => Ok(false),
            Some(b"\r\n") => {
                self.close(end);
                Ok(true)
            }
            Some(_) => Err(ReplyError::InvalidLength),
        }
    }

    /// Enters a collection.
    fn open(&mut self, kind: u8, length: &[u8], limits: &ReplyLimits) -> Result<(), ReplyError> {
        let owed = self
            .owed
            .last_mut()
            .expect("a value is read inside some collection only");
        if kind == b'*' && length == b"-1" {
            *owed -= 1;
            return Ok(());
        }
        let len = number::parse_length(length).ok_or(ReplyError::InvalidLength)?;
        let len = if matches!(kind, b'%' | b'|') {
            len.saturating_mul(2)
        } else {
            len
        };
        if len > limits.max_items {
            return Err(ReplyError::TooManyItems);
        }
        // An attribute precedes the value it belongs to and does not stand for it.
        if kind != b'|' {
            *owed -= 1;
        }
        if self.owed.len() > limits.max_depth {
            return Err(ReplyError::TooDeep);
        }
        self.owed.push(len);
        Ok(())
    }

    /// Leaves a value that is no collection.
    fn close(&mut self, end: usize) {
        *self
            .owed
            .last_mut()
            .expect("a value is read inside some collection only") -= 1;
        self.position = end;
    }
}
