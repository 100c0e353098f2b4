//! Takes replies off the front of a read buffer, in whatever pieces they arrive.
//!
//! Two passes. The first only looks for the end of the reply; it is resumable and holds no values,
//! so an incomplete reply costs no more than its bytes. The second builds the value once all bytes
//! are there.

use bytes::BytesMut;

use super::scanner::Scanner;
use super::{Reply, ReplyError, builder};
use crate::{ReplyLimits, growth};

/// Decodes the replies of one connection, in RESP2 and RESP3 alike.
///
/// The caller appends what it receives to one buffer and calls [`decode`](Self::decode) until that
/// returns `None`. Between calls it must only append. Strings in a reply are slices of the buffer
/// and keep it alive. Attributes are read and dropped; RESP3's streamed strings and collections,
/// which no server sends, are refused.
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    limits: ReplyLimits,
    scanner: Scanner,
    failed: Option<ReplyError>,
}

impl ReplyDecoder {
    /// The deepest nesting a decoder agrees to, so that recursion over a reply fits any stack.
    const MAX_DEPTH: usize = 256;

    /// Creates a decoder for a new connection.
    #[must_use]
    pub fn new(limits: ReplyLimits) -> Self {
        let max_depth = limits.max_depth.min(Self::MAX_DEPTH);
        Self {
            limits: ReplyLimits {
                max_depth,
                ..limits
            },
            ..Self::default()
        }
    }

    /// Takes the next reply off the front of the buffer.
    ///
    /// Returns `None` when the buffer holds no complete reply; what is there stays there. A push is
    /// returned like any reply: the caller tells them apart by [`Reply::Push`].
    ///
    /// # Errors
    ///
    /// Any [`ReplyError`] is final: every later call returns the same error.
    ///
    /// # Cost
    ///
    /// Linear in the bytes received, however many calls they are spread over.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.next(buffer)
            .inspect_err(|&error| self.failed = Some(error))
    }

    /// Makes room in the buffer for the next read, in proportion to what has arrived.
    pub fn prepare_read(&self, buffer: &mut BytesMut) {
        growth::prepare_read(buffer, self.scanner.missing(buffer.len()));
    }

    fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        let Some(len) = self.scanner.step(buffer, &self.limits)? else {
            return Ok(None);
        };
        builder::build(buffer.split_to(len).freeze()).map(Some)
    }
}
