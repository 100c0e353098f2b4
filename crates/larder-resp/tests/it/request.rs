//! Requests: what was encoded is decoded, however it is cut, and nothing a peer sends does harm.

use bytes::BytesMut;
use larder_resp::{Limits, ProtocolError, RequestDecoder, write_command};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::pieces::{cuts, everywhere, hostile_stream, pieces};

type Command = Vec<Vec<u8>>;

/// Room a buffer may have beyond what was received.
const SLACK: usize = 96 * 1024;

/// Feeds the pieces to a decoder and collects the commands, up to the first error.
fn decode(limits: Limits, pieces: &[Vec<u8>]) -> (Vec<Command>, Option<ProtocolError>) {
    let mut decoder = RequestDecoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut commands = Vec::new();
    let mut received = 0;
    for piece in pieces {
        decoder.prepare_read(&mut buffer);
        buffer.extend_from_slice(piece);
        received += piece.len();
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(request)) => commands.push(request.iter().map(<[u8]>::to_vec).collect()),
                Ok(None) => break,
                Err(error) => return (commands, Some(error)),
            }
        }
        decoder.prepare_read(&mut buffer);
        assert!(
            buffer.capacity() <= 2 * received + SLACK,
            "{} bytes reserved",
            buffer.capacity()
        );
    }
    (commands, None)
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let argument = prop_oneof![8 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 90..1200)];
    vec(vec(argument, 1..10), 1..8)
}

fn encode(commands: &[Command]) -> Vec<u8> {
    let mut stream = BytesMut::new();
    for command in commands {
        write_command(&mut stream, command);
    }
    stream.to_vec()
}

proptest! {
    #[test]
    fn commands_survive_every_cut(commands in commands(), cuts in cuts()) {
        let stream = encode(&commands);
        for cuts in [cuts, everywhere(&stream)] {
            let (decoded, error) = decode(Limits::default(), &pieces(&stream, &cuts));
            prop_assert_eq!(&decoded, &commands);
            prop_assert_eq!(error, None);
        }
    }

    #[test]
    fn any_stream_means_the_same_however_it_is_cut(
        stream in hostile_stream(b"**$$$0123-' \"\\xPOST\r\n\x16\x03"),
        cuts in cuts(),
    ) {
        let limits = Limits { max_args: 12, max_bulk: 40, max_inline: 24, ..Limits::default() };
        let whole = decode(limits, std::slice::from_ref(&stream));
        prop_assert_eq!(&decode(limits, &pieces(&stream, &cuts)), &whole);
        prop_assert_eq!(&decode(limits, &pieces(&stream, &everywhere(&stream))), &whole);
    }

    #[test]
    fn arbitrary_bytes_are_survived(stream in vec(any::<u8>(), 0..4000), cuts in cuts()) {
        decode(Limits::default(), &pieces(&stream, &cuts));
    }

    #[test]
    fn a_quoted_argument_reads_back(argument in vec(any::<u8>(), 0..40)) {
        let hex: String = argument.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let line = format!("ECHO \"{hex}\"\r\n").into_bytes();
        let (decoded, _) = decode(Limits::default(), &[line]);
        prop_assert_eq!(decoded, vec![vec![b"ECHO".to_vec(), argument]]);
    }
}

#[test]
fn an_announced_value_reserves_nothing_until_it_arrives() {
    let header = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\n".to_vec();
    decode(Limits::default(), &[header, vec![b'x'; 100]]);
}

#[test]
fn a_large_value_in_many_pieces_arrives_whole() {
    let value: Vec<u8> = (0..2_000_000u32).map(|index| index as u8).collect();
    let command = vec![b"SET".to_vec(), b"key".to_vec(), value];
    let stream = encode(std::slice::from_ref(&command));
    let chunks: Vec<Vec<u8>> = stream.chunks(1500).map(<[u8]>::to_vec).collect();
    assert_eq!(decode(Limits::default(), &chunks), (vec![command], None));
}
