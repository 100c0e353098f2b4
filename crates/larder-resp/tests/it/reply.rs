//! Replies: what was written is read back, however it is cut, and nothing a server sends does harm.

use bytes::{Bytes, BytesMut};
use larder_resp::{Protocol, Reply, ReplyDecoder, ReplyError, ReplyLimits, ReplyWriter, number};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::pieces::{cuts, everywhere, hostile_stream, pieces};

fn decode(limits: ReplyLimits, pieces: &[Vec<u8>]) -> (Vec<Reply>, Option<ReplyError>) {
    let mut decoder = ReplyDecoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut replies = Vec::new();
    let mut received = 0;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        received += piece.len();
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
        decoder.prepare_read(&mut buffer);
        assert!(buffer.capacity() <= 2 * received + 96 * 1024);
    }
    (replies, None)
}

fn reply() -> impl Strategy<Value = Reply> {
    let bytes = || vec(any::<u8>(), 0..30).prop_map(Bytes::from);
    let line = || "[ -~]{0,20}".prop_map(Bytes::from);
    let leaf = prop_oneof![
        line().prop_map(Reply::Simple),
        line().prop_map(Reply::Error),
        any::<i64>().prop_map(Reply::Integer),
        bytes().prop_map(Reply::Bulk),
        Just(Reply::Null),
        Just(Reply::NullArray),
        any::<f64>()
            .prop_filter("NaN equals nothing", |v| !v.is_nan())
            .prop_map(Reply::Double),
        any::<bool>().prop_map(Reply::Boolean),
        "-?[0-9]{1,30}".prop_map(|digits| Reply::BigNumber(digits.into())),
        bytes().prop_map(|text| Reply::Verbatim {
            format: *b"txt",
            text
        }),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Reply::Array),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(Reply::Map),
            vec(inner.clone(), 0..5).prop_map(Reply::Set),
            vec(inner, 0..5).prop_map(Reply::Push),
        ]
    })
}

/// What a reply reads back as after it was written in RESP2.
fn in_resp2(reply: &Reply) -> Reply {
    let all = |items: &[Reply]| Reply::Array(items.iter().map(in_resp2).collect());
    match reply {
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => all(items),
        Reply::Map(pairs) => Reply::Array(
            pairs
                .iter()
                .flat_map(|(k, v)| [in_resp2(k), in_resp2(v)])
                .collect(),
        ),
        Reply::Double(value) => Reply::bulk(number::Double::new(*value).as_bytes()),
        Reply::Boolean(value) => Reply::Integer((*value).into()),
        Reply::BigNumber(text) | Reply::Verbatim { text, .. } => Reply::Bulk(text.clone()),
        same => same.clone(),
    }
}

/// What a reply reads back as after it was written in RESP3.
fn in_resp3(reply: &Reply) -> Reply {
    let all = |items: &[Reply]| items.iter().map(in_resp3).collect();
    match reply {
        Reply::NullArray => Reply::Null,
        Reply::Array(items) => Reply::Array(all(items)),
        Reply::Set(items) => Reply::Set(all(items)),
        Reply::Push(items) => Reply::Push(all(items)),
        Reply::Map(pairs) => Reply::Map(
            pairs
                .iter()
                .map(|(k, v)| (in_resp3(k), in_resp3(v)))
                .collect(),
        ),
        same => same.clone(),
    }
}

fn encode(replies: &[Reply], protocol: Protocol) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut writer = ReplyWriter::new(&mut out, protocol);
    replies.iter().for_each(|reply| reply.write(&mut writer));
    out.to_vec()
}

proptest! {
    #[test]
    fn replies_survive_every_cut(replies in vec(reply(), 1..4), cuts in cuts()) {
        let in_resp2: Vec<Reply> = replies.iter().map(in_resp2).collect();
        let in_resp3: Vec<Reply> = replies.iter().map(in_resp3).collect();
        for (protocol, expected) in [(Protocol::Resp2, in_resp2), (Protocol::Resp3, in_resp3)] {
            let stream = encode(&replies, protocol);
            for cuts in [cuts.clone(), everywhere(&stream)] {
                let (decoded, error) = decode(ReplyLimits::default(), &pieces(&stream, &cuts));
                prop_assert_eq!(&decoded, &expected);
                prop_assert_eq!(error, None);
            }
        }
    }

    #[test]
    fn any_stream_means_the_same_however_it_is_cut(
        stream in hostile_stream(b"+-:_,#($!=*~>%|0123tf\r\n"),
        cuts in cuts(),
    ) {
        let limits = ReplyLimits { max_depth: 3, max_line: 8, ..ReplyLimits::default() };
        // Compared as text, because a decoded NaN does not equal itself.
        let decode = |cuts: &[usize]| format!("{:?}", decode(limits, &pieces(&stream, cuts)));
        let whole = decode(&[]);
        prop_assert_eq!(&decode(&cuts), &whole);
        prop_assert_eq!(&decode(&everywhere(&stream)), &whole);
    }

    #[test]
    fn arbitrary_bytes_are_survived(stream in vec(any::<u8>(), 0..4000), cuts in cuts()) {
        decode(ReplyLimits::default(), &pieces(&stream, &cuts));
    }
}
