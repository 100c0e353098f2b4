//! Takes commands off the front of a read buffer, one at a time, in whatever pieces they arrive.
//!
//! The two forms, length-prefixed and inline, are told apart by the first byte. The decoder owns
//! the progress made inside an incomplete command, so that no byte is looked at twice.

use bytes::{Buf, BytesMut};

use super::multibulk::{Multibulk, Step};
use super::{Request, foreign, inline};
use crate::{Limits, ProtocolError, growth};

/// Decodes the requests of one connection.
///
/// The caller appends what it receives to one buffer and calls [`decode`](Self::decode) until that
/// returns `None`. Between calls it must only append: the decoder remembers how far into the
/// buffer it has read. Bytes left in the buffer after `None` are the beginning of a command, which
/// is what a deadline for completing a frame should watch.
///
/// The decoder is somewhat stricter than Redis: a `\r` must be followed by `\n`, and an argument by
/// `\r\n`. Whatever it accepts or refuses depends on the bytes alone, never on how they were split.
#[derive(Debug, Default)]
pub struct RequestDecoder {
    limits: Limits,
    multibulk: Multibulk,
    /// Bytes of an inline command already searched for the line end.
    scanned: usize,
    failed: Option<ProtocolError>,
}

impl RequestDecoder {
    /// Creates a decoder for a new connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Returns the limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Changes the limits, as after a successful `AUTH`.
    ///
    /// They hold for every length read from now on. A server whose limits depend on a command must
    /// therefore run that command before it decodes the next.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes the next command off the front of the buffer.
    ///
    /// Returns `None` when the buffer holds no complete command; what is there stays there. Empty
    /// lines and empty commands (`*0`, `*-1`) are dropped silently.
    ///
    /// # Errors
    ///
    /// Any [`ProtocolError`] is final: the buffer is left alone and every later call returns the
    /// same error. The server answers once and closes.
    ///
    /// # Cost
    ///
    /// Linear in the bytes received, however many calls they are spread over. Nothing is copied,
    /// except by inline commands; nothing is allocated for up to six arguments.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Request>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.next(buffer)
            .inspect_err(|&error| self.failed = Some(error))
    }

    /// Makes room in the buffer for the next read.
    ///
    /// Asks for 16 KiB at first and then as much again as has arrived, until the rest of a
    /// command whose size is known fits: announcing a large value reserves nothing.
    pub fn prepare_read(&self, buffer: &mut BytesMut) {
        growth::prepare_read(buffer, self.multibulk.missing(buffer.len()));
    }

    #[inline]
    fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Request>, ProtocolError> {
        loop {
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => match self.multibulk.step(buffer, &self.limits)? {
                    Step::Complete { len, spans } => {
                        let frame = buffer.split_to(len).freeze();
                        return Ok(Some(Request::new(frame, spans)));
                    }
                    Step::Empty { len } => buffer.advance(len),
                    Step::Incomplete => return Ok(None),
                },
                Some(_) => {
                    let Some(len) = self.line(buffer)? else {
                        return Ok(None);
                    };
                    let request = self.inline(&buffer[..len])?;
                    buffer.advance(len);
                    if request.is_some() {
                        return Ok(request);
                    }
                }
            }
        }
    }

    /// Returns the length of the line at the front of the buffer, its `\n` included.
    fn line(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if foreign::is_tls(buffer) {
            return Err(ProtocolError::TlsClientHello);
        }
        let unseen = buffer.get(self.scanned..).unwrap_or_default();
        let end = unseen.iter().position(|&byte| byte == b'\n');
        self.scanned += end.unwrap_or(unseen.len());
        if self.scanned > self.limits.max_inline.min(u32::MAX as usize) {
            return Err(ProtocolError::InlineTooLong);
        }
        Ok(end.map(|_| std::mem::take(&mut self.scanned) + 1))
    }

    fn inline(&self, line: &[u8]) -> Result<Option<Request>, ProtocolError> {
        if foreign::is_http(line) {
            return Err(ProtocolError::HttpRequest);
        }
        let request = Request::from_line(line)
            .map_err(|inline::UnbalancedQuotes| ProtocolError::UnbalancedQuotes)?;
        match &request {
            Some(request) if request.argc() > self.limits.max_args => {
                Err(super::multibulk::too_many_args(&self.limits))
            }
            _ => Ok(request),
        }
    }
}

#[cfg(test)]
mod tests;
