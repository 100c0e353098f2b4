//! Frames: how messages lie in a stream of bytes, and what is refused before anything is kept.
//!
//! A frame is its length in four bytes (big-endian, counted behind them), one byte that says which
//! kind of message it is, and the body. There is no checksum: beyond loopback TLS authenticates
//! every byte, on loopback the kernel copies them. What one cannot read, unknown kinds included, is
//! an error that closes the link: a message that is skipped is a message that is lost.
//!
//! Pure, and bounded: no byte is reserved because a length was announced.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Length of a frame before its kind.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Length and kind.
pub(crate) const HEAD_BYTES: usize = LENGTH_BYTES + 1;

/// Why bytes of a peer could not be read. The link on which they came is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// A frame is longer than allowed.
    TooLong {
        /// As it announced.
        bytes: usize,
        /// What is allowed at this point.
        most: usize,
    },
    /// A frame without even a kind.
    Empty,
    /// A kind of message that this node does not know, or not at this version.
    UnknownKind(u8),
    /// A message that has no place at this point.
    NotNow(&'static str),
    /// The body of this kind of message is not what it must be.
    Body(&'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::TooLong { bytes, most } => {
                write!(f, "a frame of {bytes} bytes, {most} are allowed")
            }
            Wrong::Empty => f.write_str("an empty frame"),
            Wrong::UnknownKind(kind) => write!(f, "an unknown kind of message, {kind}"),
            Wrong::NotNow(kind) => write!(f, "the message `{kind}` at the wrong time"),
            Wrong::Body(kind) => write!(f, "a damaged message `{kind}`"),
        }
    }
}

impl std::error::Error for Wrong {}

/// Takes the next frame from the front of what has arrived: its kind and its body. None if it is
/// not all there yet.
///
/// # Errors
///
/// If the frame announces more than `most` bytes behind its length, or none.
pub(crate) fn take(arrived: &mut BytesMut, most: usize) -> Result<Option<(u8, Bytes)>, Wrong> {
    let Some(length) = arrived.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > most {
        return Err(Wrong::TooLong {
            bytes: length,
            most,
        });
    }
    if length == 0 {
        return Err(Wrong::Empty);
    }
    if arrived.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    arrived.advance(LENGTH_BYTES);
    let mut frame = arrived.split_to(length).freeze();
    let kind = frame.get_u8();
    Ok(Some((kind, frame)))
}

/// The first bytes of a frame with a body of so many bytes.
pub(crate) fn head(kind: u8, body: usize) -> [u8; HEAD_BYTES] {
    // Bodies are bounded far below this by the limits of the mesh.
    let length = u32::try_from(body + 1).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_be_bytes();
    [a, b, c, d, kind]
}

/// Writes a body: numbers big-endian, texts behind their length in one byte.
#[derive(Default)]
pub(crate) struct Body(BytesMut);

impl Body {
    pub(crate) fn u8(mut self, number: u8) -> Body {
        self.0.put_u8(number);
        self
    }

    pub(crate) fn u16(mut self, number: u16) -> Body {
        self.0.put_u16(number);
        self
    }

    pub(crate) fn u64(mut self, number: u64) -> Body {
        self.0.put_u64(number);
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Body {
        self.0.put_slice(bytes);
        self
    }

    /// Texts are names and hosts, which have at most 253 bytes.
    pub(crate) fn text(self, text: &str) -> Body {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        let kept = &text.as_bytes()[..usize::from(length)];
        self.u8(length).raw(kept)
    }

    pub(crate) fn done(self) -> Bytes {
        self.0.freeze()
    }
}

/// Reads a body; none as soon as something is missing.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    /// None unless everything was read.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_once_it_is_all_there() {
        let bytes = b"\0\0\0\x04\x20abc\0\0\0\x01\x13";
        let mut arrived = BytesMut::new();
        let mut taken = Vec::new();
        for byte in bytes {
            arrived.put_u8(*byte);
            taken.extend(take(&mut arrived, 4).unwrap());
        }
        let expected = [(0x20, Bytes::from("abc")), (0x13, Bytes::new())];
        assert_eq!(taken, expected);
        assert!(arrived.is_empty());
        assert_eq!(head(0x20, 3), *b"\0\0\0\x04\x20");
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_arrive() {
        let mut arrived = BytesMut::from(&b"\xff\xff\xff\xff"[..]);
        let wrong = take(&mut arrived, 1024).unwrap_err();
        let expected = Wrong::TooLong {
            bytes: 0xffff_ffff,
            most: 1024,
        };
        assert_eq!(wrong, expected);
        let mut empty = BytesMut::from(&b"\0\0\0\0"[..]);
        assert_eq!(take(&mut empty, 1024), Err(Wrong::Empty));
    }
}
