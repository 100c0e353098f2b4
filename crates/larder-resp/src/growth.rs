//! How a read buffer grows: with the bytes received, never with the bytes announced.

use bytes::BytesMut;

/// Room asked for when little has arrived yet.
const STEP: usize = 16 * 1024;

/// Room below which a read is not worth its system call.
const ENOUGH: usize = 4 * 1024;

/// Makes room for one read, given how many bytes the current frame is known to lack.
///
/// Afterwards the capacity is at most about twice the buffered bytes plus a constant, however large
/// `missing` is: a peer has to send a byte to make us hold two.
pub(crate) fn prepare_read(buffer: &mut BytesMut, missing: usize) {
    let spare = buffer.capacity() - buffer.len();
    // A frame of 20 KiB that lacks 3 bytes is still followed by others, so 3 is not enough room.
    if spare < ENOUGH {
        let bound = buffer.len().max(STEP);
        buffer.reserve(missing.clamp(ENOUGH, bound));
    }
}
