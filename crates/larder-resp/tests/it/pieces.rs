//! Cutting a stream into pieces.

use proptest::prelude::*;

/// A stream and the pieces in which it arrives.
pub(crate) fn pieces(stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in ends {
        pieces.push(stream[start..end].to_vec());
        start = end;
    }
    pieces
}

/// Where to cut.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(any::<usize>(), 0..12)
}

/// Cuts at every byte.
pub(crate) fn everywhere(stream: &[u8]) -> Vec<usize> {
    (0..stream.len()).collect()
}

/// Streams made of bytes that mean something to a decoder, and of others.
pub(crate) fn hostile_stream(alphabet: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => proptest::sample::select(alphabet), 1 => any::<u8>()];
    let crlf = Just(b"\r\n".to_vec());
    let part = prop_oneof![2 => byte.prop_map(|byte| vec![byte]), 1 => crlf];
    proptest::collection::vec(part, 0..80).prop_map(|parts| parts.concat())
}
