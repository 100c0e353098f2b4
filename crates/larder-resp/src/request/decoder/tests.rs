//! Tables of streams and what they decode to. Properties over all streams are in `tests/it`.

use bytes::BytesMut;

use crate::{Limits, ProtocolError, Request, RequestDecoder};

/// Decodes all commands of a stream: each as its words, then the error if there is one.
fn decode(limits: Limits, stream: &[u8]) -> (Vec<String>, Option<ProtocolError>) {
    let mut decoder = RequestDecoder::new(limits);
    let mut buffer = BytesMut::from(stream);
    let mut commands = Vec::new();
    loop {
        match decoder.decode(&mut buffer) {
            Ok(Some(request)) => commands.push(words(&request)),
            Ok(None) => return (commands, None),
            Err(error) => {
                assert_eq!(decoder.decode(&mut buffer), Err(error), "an error is final");
                return (commands, Some(error));
            }
        }
    }
}

fn words(request: &Request) -> String {
    let words: Vec<String> = request
        .iter()
        .map(|word| word.escape_ascii().to_string())
        .collect();
    words.join("|")
}

fn refusal(limits: Limits, stream: impl AsRef<[u8]>) -> String {
    let (_, error) = decode(limits, stream.as_ref());
    error.expect("refused").to_string()
}

#[test]
fn both_forms_decode_and_may_alternate() {
    let table: [(&str, &[&str]); 9] = [
        ("*1\r\n$4\r\nPING\r\n", &["PING"]),
        ("*2\r\n$3\r\nget\r\n$0\r\n\r\n", &["get|"]),
        (
            "*2\r\n$3\r\nGET\r\n$4\r\n\r\n\r\n\r\n",
            &["GET|\\r\\n\\r\\n"],
        ),
        (
            "*1\r\n$4\r\nPING\r\nECHO 'a b'\r\n*1\r\n$4\r\nQUIT\r\n",
            &["PING", "ECHO|a b", "QUIT"],
        ),
        ("PING\nGET key\n", &["PING", "GET|key"]),
        ("\r\n\n  \r\n*0\r\n*-1\r\n*-10\r\nPING\r\n", &["PING"]),
        ("*2\r\n$3\r\nGET\r\n$3\r\nab", &[]),
        ("PING", &[]),
        (
            "*8\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n\
             $1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n",
            &["a|b|c|d|e|f|g|h"],
        ),
    ];
    for (stream, expected) in table {
        let (commands, error) = decode(Limits::default(), stream.as_bytes());
        assert!(commands.iter().eq(expected), "{stream:?} gave {commands:?}");
        assert_eq!(error, None, "{stream:?}");
    }
}

#[test]
fn protocol_errors_carry_the_texts_clients_know() {
    let table = [
        ("*1\r\nfoo\r\n", "expected '$', got 'f'"),
        (
            "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n",
            "expected '$', got 'f'",
        ),
        ("*x\r\n", "invalid multibulk length"),
        ("*\r\n", "invalid multibulk length"),
        ("*01\r\n", "invalid multibulk length"),
        ("*+1\r\n", "invalid multibulk length"),
        ("*1\rx", "invalid multibulk length"),
        ("*65537\r\n", "invalid multibulk length"),
        ("*20000000000000000000\r\n", "invalid multibulk length"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$blabla\r\n", "invalid bulk length"),
        ("*1\r\n$\r\n", "invalid bulk length"),
        ("*1\r\n$00\r\n", "invalid bulk length"),
        ("*1\r\n$16777217\r\n", "invalid bulk length"),
        ("*1\r\n$9223372036854775808\r\n", "invalid bulk length"),
        ("*1\r\n$4\r\nPINGPING", "invalid bulk length"),
        ("set \"a\r\n", "unbalanced quotes in request"),
        ("set \"a\"b\r\n", "unbalanced quotes in request"),
    ];
    for (stream, text) in table {
        assert_eq!(
            refusal(Limits::default(), stream),
            format!("Protocol error: {text}")
        );
    }
}

#[test]
fn lines_without_an_end_are_cut_off() {
    let long = "1".repeat(64 * 1024 + 1);
    let table = [
        (String::new(), "too big inline request"),
        ("*".to_owned(), "too big mbulk count string"),
        ("*1\r\n$".to_owned(), "too big bulk count string"),
    ];
    for (start, text) in table {
        let stream = start + &long;
        assert_eq!(
            refusal(Limits::default(), &stream),
            format!("Protocol error: {text}")
        );
        assert_eq!(
            decode(Limits::default(), &stream.as_bytes()[..stream.len() - 1]).1,
            None
        );
    }
}

#[test]
fn strangers_get_tighter_limits_and_their_own_texts() {
    let limits = Limits::unauthenticated();
    let table = [
        ("*11\r\n", "unauthenticated multibulk length"),
        (
            "1 2 3 4 5 6 7 8 9 10 11\r\n",
            "unauthenticated multibulk length",
        ),
        ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ];
    for (stream, text) in table {
        assert_eq!(refusal(limits, stream), format!("Protocol error: {text}"));
        assert_eq!(decode(Limits::default(), stream.as_bytes()).1, None);
    }
}

#[test]
fn limits_changed_between_commands_hold_for_the_next() {
    let mut decoder = RequestDecoder::new(Limits::unauthenticated());
    let mut buffer = BytesMut::from("AUTH secret\r\n*1\r\n$20000\r\n");
    let request = decoder
        .decode(&mut buffer)
        .expect("valid")
        .expect("complete");
    assert_eq!(words(&request), "AUTH|secret");
    decoder.set_limits(Limits::default());
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
}

#[test]
fn a_command_of_many_fair_arguments_is_still_bounded() {
    let limits = Limits {
        max_bulk: 100,
        max_command_bytes: 150,
        ..Limits::default()
    };
    let argument = format!("$100\r\n{}\r\n", "x".repeat(100));
    assert_eq!(
        decode(limits, format!("*1\r\n{argument}").as_bytes()).1,
        None
    );
    assert_eq!(
        decode(limits, format!("*2\r\n{argument}$100\r\n").as_bytes()).1,
        Some(ProtocolError::CommandTooLarge),
    );
}

#[test]
fn http_and_tls_peers_are_recognised() {
    let table: [(&[u8], ProtocolError); 4] = [
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            ProtocolError::HttpRequest,
        ),
        (
            b"POST / HTTP/1.1\r\n\r\nFLUSHALL\r\n",
            ProtocolError::HttpRequest,
        ),
        (b"\r\nHost: x\r\n", ProtocolError::HttpRequest),
        (b"\x16\x03\x01\x02\x00", ProtocolError::TlsClientHello),
    ];
    for (stream, error) in table {
        assert_eq!(decode(Limits::default(), stream), (vec![], Some(error)));
    }
    assert_eq!(
        decode(Limits::default(), b"\x16x\r\n"),
        (vec!["\\x16x".to_owned()], None)
    );
}

#[test]
fn an_argument_can_be_kept_without_copying() {
    let mut buffer = BytesMut::from("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
    let request = RequestDecoder::default()
        .decode(&mut buffer)
        .expect("valid")
        .expect("complete");
    let key = request.bytes(1).expect("two arguments");
    assert_eq!(key.as_ptr(), request[1].as_ptr());
    assert_eq!(
        (request.argc(), request.get(2), request.bytes(2)),
        (2, None, None)
    );
}

#[test]
fn values_stay_out_of_logs() {
    let request = Request::from_line(b"SET secret value")
        .expect("balanced")
        .expect("words");
    assert_eq!(format!("{request:?}"), "Request(SET [6] [5])");
}
