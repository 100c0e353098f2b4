//! Replies: whatever decodes can be written in both protocols, and reads back.
#![no_main]

use bytes::BytesMut;
use larder_resp::{Protocol, ReplyDecoder, ReplyWriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|stream: &[u8]| {
    let mut decoder = ReplyDecoder::default();
    let mut buffer = BytesMut::from(stream);
    while let Ok(Some(reply)) = decoder.decode(&mut buffer) {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mut written = BytesMut::new();
            reply.write(&mut ReplyWriter::new(&mut written, protocol));
            let back = ReplyDecoder::default().decode(&mut written);
            assert!(matches!(back, Ok(Some(_))) && written.is_empty());
        }
    }
});
