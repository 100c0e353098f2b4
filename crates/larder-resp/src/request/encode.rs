//! Commands as a client sends them.

use bytes::{BufMut, BytesMut};

use crate::number::Integer;

/// Appends a command in its length-prefixed form.
///
/// An empty list of arguments becomes `*0`, which servers skip without a reply.
pub fn write_command(out: &mut BytesMut, arguments: &[impl AsRef<[u8]>]) {
    write_length(out, b'*', arguments.len());
    for argument in arguments {
        let argument = argument.as_ref();
        write_length(out, b'$', argument.len());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_length(out: &mut BytesMut, kind: u8, length: usize) {
    out.put_u8(kind);
    out.extend_from_slice(Integer::unsigned(length as u64).as_bytes());
    out.extend_from_slice(b"\r\n");
}
