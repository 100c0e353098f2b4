//! A command as the peer sent it: one block of bytes and the places of its arguments in it.
//!
//! Cutting the block out of the read buffer is the only work done per command; an argument becomes
//! a reference-counted slice only when somebody wants to keep it.

mod spans;

mod decoder;

mod multibulk;

mod inline;

mod foreign;

mod encode;

use std::fmt;
use std::ops::Index;

use bytes::Bytes;

pub use decoder::RequestDecoder;
pub use encode::write_command;
pub use inline::UnbalancedQuotes;
use spans::Spans;

/// A command with its arguments; argument 0 is the command name as sent.
///
/// It always has a name, though the name may be empty (`""` inline). Cloning is cheap and shares
/// the bytes.
///
/// A request, and every slice [`bytes`](Self::bytes) gives, keeps alive the read buffer it was cut
/// from, which may be much larger than the slice. Whatever outlives the command, such as a key put
/// into a map, should be copied: `Bytes::copy_from_slice(request.get(1)?)`.
#[derive(Clone)]
pub struct Request {
    frame: Bytes,
    spans: Spans,
}

impl Request {
    fn new(frame: Bytes, spans: Spans) -> Self {
        Self { frame, spans }
    }

    /// Reads a command line as a person types it, the way inline commands are read.
    ///
    /// Words are separated by blanks. Double quotes allow `\xHH`, `\n`, `\r`, `\t`, `\b`, `\a` and
    /// `\` before any other character; single quotes allow `\'` only. Returns `None` if the line
    /// holds no word.
    ///
    /// # Errors
    ///
    /// [`UnbalancedQuotes`] if a quote stays open, or closes in the middle of a word.
    ///
    /// # Panics
    ///
    /// If the line is longer than 4 GiB.
    pub fn from_line(line: &[u8]) -> Result<Option<Self>, UnbalancedQuotes> {
        let (words, spans) = inline::split(line)?;
        Ok((!spans.as_slice().is_empty()).then(|| Self::new(words.freeze(), spans)))
    }

    /// Returns the command name as sent, in the peer's choice of upper and lower case.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self[0]
    }

    /// Returns the number of arguments, the name included; never 0.
    #[must_use]
    pub fn argc(&self) -> usize {
        self.spans.as_slice().len()
    }

    /// Returns one argument, or `None` past the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.spans
            .as_slice()
            .get(index)
            .map(|span| &self.frame[span.range()])
    }

    /// Returns one argument as a shared slice of the read buffer, or `None` past the last.
    #[must_use]
    pub fn bytes(&self, index: usize) -> Option<Bytes> {
        self.spans
            .as_slice()
            .get(index)
            .map(|span| self.frame.slice(span.range()))
    }

    /// Iterates over all arguments, the name first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator + Clone {
        self.spans
            .as_slice()
            .iter()
            .map(|span| &self.frame[span.range()])
    }

    /// Returns the bytes this request holds in memory: its arguments and their framing.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.frame.len()
    }
}

/// Panics when the argument does not exist; meant for use after the number of arguments is known.
impl Index<usize> for Request {
    type Output = [u8];

    fn index(&self, index: usize) -> &[u8] {
        &self.frame[self.spans.as_slice()[index].range()]
    }
}

/// Two requests are equal when their arguments are, however they were sent.
impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Request {}

/// Shows the name and the sizes of the arguments: keys and values do not belong in logs.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({}", self.name().escape_ascii())?;
        for argument in self.iter().skip(1) {
            write!(f, " [{}]", argument.len())?;
        }
        f.write_str(")")
    }
}
