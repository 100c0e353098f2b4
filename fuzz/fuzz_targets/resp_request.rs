//! Requests: the first byte says how the rest is cut; the result must not depend on it.
#![no_main]

use bytes::BytesMut;
use larder_resp::{Limits, ProtocolError, Request, RequestDecoder};
use libfuzzer_sys::fuzz_target;

fn decode(stream: &[u8], piece: usize) -> (Vec<Request>, Option<ProtocolError>) {
    let mut decoder = RequestDecoder::new(Limits {
        max_inline: 64,
        ..Limits::default()
    });
    let mut buffer = BytesMut::new();
    let mut requests = Vec::new();
    for piece in stream.chunks(piece) {
        decoder.prepare_read(&mut buffer);
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    assert!(
        buffer.capacity() <= 2 * stream.len() + 96 * 1024,
        "reserved what was only announced"
    );
    (requests, None)
}

fuzz_target!(|input: &[u8]| {
    if let [piece, stream @ ..] = input {
        assert_eq!(
            decode(stream, 1 + usize::from(*piece)),
            decode(stream, usize::MAX)
        );
    }
});
