//! Tables: every reply in both protocols, and what the decoder refuses.

use bytes::{Bytes, BytesMut};

use crate::{Protocol, Reply, ReplyDecoder, ReplyError, ReplyLimits, ReplyWriter};

fn written(protocol: Protocol, write: impl FnOnce(&mut ReplyWriter<'_>)) -> String {
    let mut out = BytesMut::new();
    write(&mut ReplyWriter::new(&mut out, protocol));
    String::from_utf8(out.to_vec()).expect("the table holds text only")
}

fn decode(stream: &str) -> Result<Option<Reply>, ReplyError> {
    ReplyDecoder::default().decode(&mut BytesMut::from(stream))
}

#[test]
fn every_reply_has_its_form_in_each_protocol() {
    let pair = || vec![(Reply::bulk("k"), Reply::Integer(1))];
    let items = || vec![Reply::Null, Reply::Integer(-2)];
    let table = [
        (Reply::Simple("PONG".into()), "+PONG\r\n", "+PONG\r\n"),
        (Reply::error("ERR no"), "-ERR no\r\n", "-ERR no\r\n"),
        (
            Reply::Integer(i64::MIN),
            ":-9223372036854775808\r\n",
            ":-9223372036854775808\r\n",
        ),
        (Reply::bulk(""), "$0\r\n\r\n", "$0\r\n\r\n"),
        (
            Reply::bulk("0123\r\n6789"),
            "$10\r\n0123\r\n6789\r\n",
            "$10\r\n0123\r\n6789\r\n",
        ),
        (Reply::Null, "$-1\r\n", "_\r\n"),
        (Reply::NullArray, "*-1\r\n", "_\r\n"),
        (Reply::Array(vec![]), "*0\r\n", "*0\r\n"),
        (
            Reply::Array(items()),
            "*2\r\n$-1\r\n:-2\r\n",
            "*2\r\n_\r\n:-2\r\n",
        ),
        (
            Reply::Map(pair()),
            "*2\r\n$1\r\nk\r\n:1\r\n",
            "%1\r\n$1\r\nk\r\n:1\r\n",
        ),
        (
            Reply::Set(items()),
            "*2\r\n$-1\r\n:-2\r\n",
            "~2\r\n_\r\n:-2\r\n",
        ),
        (
            Reply::Push(items()),
            "*2\r\n$-1\r\n:-2\r\n",
            ">2\r\n_\r\n:-2\r\n",
        ),
        (Reply::Double(3.25), "$4\r\n3.25\r\n", ",3.25\r\n"),
        (
            Reply::Double(f64::NEG_INFINITY),
            "$4\r\n-inf\r\n",
            ",-inf\r\n",
        ),
        (Reply::Boolean(true), ":1\r\n", "#t\r\n"),
        (Reply::Boolean(false), ":0\r\n", "#f\r\n"),
        (Reply::BigNumber("-12".into()), "$3\r\n-12\r\n", "(-12\r\n"),
        (
            Reply::Verbatim {
                format: *b"txt",
                text: Bytes::from("a:b"),
            },
            "$3\r\na:b\r\n",
            "=7\r\ntxt:a:b\r\n",
        ),
    ];
    for (reply, resp2, resp3) in table {
        assert_eq!(
            written(Protocol::Resp2, |writer| reply.write(writer)),
            resp2
        );
        assert_eq!(
            written(Protocol::Resp3, |writer| reply.write(writer)),
            resp3
        );
    }
    assert_eq!(written(Protocol::Resp2, |writer| writer.ok()), "+OK\r\n");
}

#[test]
fn one_line_values_cannot_break_out_of_their_line() {
    let hostile = "ERR unknown command 'a\r\n+OK\r\n'";
    let expected = "-ERR unknown command 'a  +OK  '\r\n";
    assert_eq!(
        written(Protocol::Resp2, |writer| writer.error(hostile)),
        expected
    );
    assert_eq!(
        written(Protocol::Resp3, |writer| writer.simple("a\nb")),
        "+a b\r\n"
    );
    assert_eq!(
        written(Protocol::Resp3, |writer| writer.big_number("1\r\n2")),
        "(1  2\r\n"
    );
}

#[test]
fn attributes_are_read_and_dropped() {
    let streams = [
        "|1\r\n+ttl\r\n:5\r\n:7\r\n",
        "|0\r\n|1\r\n*1\r\n_\r\n|0\r\n#t\r\n:7\r\n",
    ];
    for stream in streams {
        assert_eq!(decode(stream), Ok(Some(Reply::Integer(7))), "{stream:?}");
    }
    let inside = "*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n";
    let expected = Reply::Array(vec![Reply::Integer(1), Reply::Integer(2)]);
    assert_eq!(decode(inside), Ok(Some(expected)));
    assert_eq!(
        decode("|1\r\n+ttl\r\n:5\r\n"),
        Ok(None),
        "the value itself is still to come"
    );
}

#[test]
fn blob_errors_are_errors() {
    assert_eq!(
        decode("!8\r\nERR a\r\nb\r\n"),
        Ok(Some(Reply::error("ERR a\r\nb")))
    );
}

#[test]
fn malformed_replies_are_refused() {
    let table = [
        ("hello\r\n", ReplyError::UnknownType(b'h')),
        (":1a\r\n", ReplyError::InvalidValue),
        (",one\r\n", ReplyError::InvalidValue),
        ("#y\r\n", ReplyError::InvalidValue),
        ("_x\r\n", ReplyError::InvalidValue),
        ("(1-2\r\n", ReplyError::InvalidValue),
        ("(\r\n", ReplyError::InvalidValue),
        ("=3\r\ntxt\r\n", ReplyError::InvalidValue),
        ("$-2\r\n", ReplyError::InvalidLength),
        ("$?\r\n", ReplyError::InvalidLength),
        ("~-1\r\n", ReplyError::InvalidLength),
        ("$1\r\nabc\r\n", ReplyError::InvalidLength),
        ("+a\rb\r\n", ReplyError::BrokenLine),
    ];
    for (stream, error) in table {
        assert_eq!(decode(stream), Err(error), "{stream:?}");
    }
}

#[test]
fn each_limit_of_a_reply_holds() {
    let limits = ReplyLimits {
        max_depth: 2,
        max_bulk: 10,
        max_line: 10,
        max_items: 4,
        max_reply_bytes: 39,
    };
    let table = [
        ("*1\r\n*1\r\n*1\r\n", ReplyError::TooDeep),
        ("$11\r\n", ReplyError::BulkTooLarge),
        ("+12345678901", ReplyError::LineTooLong),
        ("*5\r\n", ReplyError::TooManyItems),
        ("%3\r\n", ReplyError::TooManyItems),
        (
            "*4\r\n+123456789\r\n+123456789\r\n$10\r\n",
            ReplyError::ReplyTooLarge,
        ),
        (
            "*4\r\n+123456789\r\n+123456789\r\n+123456789\r\n",
            ReplyError::ReplyTooLarge,
        ),
    ];
    for (stream, error) in table {
        let mut decoder = ReplyDecoder::new(limits);
        let mut buffer = BytesMut::from(stream);
        assert_eq!(decoder.decode(&mut buffer), Err(error), "{stream:?}");
        assert_eq!(decoder.decode(&mut buffer), Err(error), "an error is final");
    }
    let allowed = "*2\r\n*1\r\n:1\r\n$10\r\n0123456789\r\n";
    let reply = ReplyDecoder::new(limits).decode(&mut BytesMut::from(allowed));
    assert!(matches!(reply, Ok(Some(Reply::Array(_)))));
}

#[test]
fn the_deepest_admitted_reply_fits_the_stack() {
    let limits = ReplyLimits {
        max_depth: usize::MAX,
        ..ReplyLimits::default()
    };
    let deep = |depth: usize| BytesMut::from(&*("*1\r\n".repeat(depth) + ":1\r\n"));
    assert!(matches!(
        ReplyDecoder::new(limits).decode(&mut deep(256)),
        Ok(Some(_))
    ));
    assert_eq!(
        ReplyDecoder::new(limits).decode(&mut deep(257)),
        Err(ReplyError::TooDeep)
    );
}
