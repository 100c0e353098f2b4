//! Writes replies, choosing the RESP2 or the RESP3 form of each value.

use bytes::{BufMut, BytesMut};

use crate::Protocol;
use crate::number::{Double, Integer};

/// Appends replies to an output buffer.
///
/// A method writes one whole value, except the `*_len` methods: those announce how many values
/// (for maps: pairs) the caller is going to write next. Whatever is passed in, the output keeps its
/// framing: line ends in one-line values become blanks.
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    out: &'a mut BytesMut,
    protocol: Protocol,
}

impl<'a> ReplyWriter<'a> {
    /// Creates a writer that appends to `out`.
    #[must_use]
    pub fn new(out: &'a mut BytesMut, protocol: Protocol) -> Self {
        Self { out, protocol }
    }

    /// Returns the protocol in which this writer writes.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Writes `+OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// Writes a short status.
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'+', text.as_ref());
    }

    /// Writes an error. The text starts with its code, as in `ERR syntax error`.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'-', text.as_ref());
    }

    /// Writes an integer.
    pub fn integer(&mut self, value: i64) {
        self.header(b':', Integer::new(value));
    }

    /// Writes a string of any bytes.
    pub fn bulk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.length(b'$', bytes.len());
        self.body(bytes);
    }

    /// Writes the absent value.
    pub fn null(&mut self) {
        self.pick(b"$-1\r\n", b"_\r\n");
    }

    /// Writes the absent array, as `EXEC` does for a transaction that did not run.
    pub fn null_array(&mut self) {
        self.pick(b"*-1\r\n", b"_\r\n");
    }

    /// Announces an array of `len` values.
    pub fn array_len(&mut self, len: usize) {
        self.length(b'*', len);
    }

    /// Announces a map of `pairs` keys, each followed by its value.
    pub fn map_len(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.length(b'*', pairs * 2),
            Protocol::Resp3 => self.length(b'%', pairs),
        }
    }

    /// Announces a set of `len` values.
    pub fn set_len(&mut self, len: usize) {
        self.length(self.kind(b'*', b'~'), len);
    }

    /// Announces a push of `len` values: a message that answers no request.
    pub fn push_len(&mut self, len: usize) {
        self.length(self.kind(b'*', b'>'), len);
    }

    /// Writes a floating point number.
    pub fn double(&mut self, value: f64) {
        let text = Double::new(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// Writes a truth value.
    pub fn boolean(&mut self, value: bool) {
        match value {
            true => self.pick(b":1\r\n", b"#t\r\n"),
            false => self.pick(b":0\r\n", b"#f\r\n"),
        }
    }

    /// Writes an integer of any size, given as decimal digits.
    pub fn big_number(&mut self, digits: impl AsRef<[u8]>) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits),
            Protocol::Resp3 => self.line(b'(', digits.as_ref()),
        }
    }

    /// Writes text for people, as `INFO` does. The format is `txt` or `mkd`.
    pub fn verbatim(&mut self, format: [u8; 3], text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.length(b'=', text.len() + 4);
                self.out.extend_from_slice(&format);
                self.out.put_u8(b':');
                self.body(text);
            }
        }
    }

    fn kind(&self, resp2: u8, resp3: u8) -> u8 {
        match self.protocol {
            Protocol::Resp2 => resp2,
            Protocol::Resp3 => resp3,
        }
    }

    fn pick(&mut self, resp2: &[u8], resp3: &[u8]) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => resp2,
            Protocol::Resp3 => resp3,
        });
    }

    #[inline]
    fn length(&mut self, kind: u8, len: usize) {
        // Nearly all lengths are one digit, and one copy of a constant size is cheapest.
        if len < 10 {
            self.out
                .extend_from_slice(&[kind, b'0' + len as u8, b'\r', b'\n']);
        } else {
            self.header(kind, Integer::unsigned(len as u64));
        }
    }

    fn header(&mut self, kind: u8, number: Integer) {
        let digits = number.as_bytes();
        let mut line = [0; 23];
        line[0] = kind;
        line[1..=digits.len()].copy_from_slice(digits);
        line[digits.len() + 1..digits.len() + 3].copy_from_slice(b"\r\n");
        self.out.extend_from_slice(&line[..digits.len() + 3]);
    }

    #[inline]
    fn body(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 2);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Writes a value that must stay on one line, since its end is how the reader finds the next.
    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.put_u8(kind);
        let start = self.out.len();
        self.out.extend_from_slice(text);
        for byte in &mut self.out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }
}
