//! The byte form of messages: fixed for ever by examples, and read back whatever it holds.

use proptest::prelude::*;

use super::*;

fn lane(node: u64, boot: u64) -> LaneId {
    LaneId {
        node: NodeId(node),
        boot,
    }
}

fn bytes(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out.freeze()
}

fn hex(message: &Message) -> String {
    bytes(message)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn two_records() -> Message {
    Message::Records {
        lane: lane(1, 9),
        first: 3,
        round: 2,
        records: vec![Bytes::from_static(b"ab"), Bytes::new()],
    }
}

/// One of each kind, with what it must look like; blanks are for people.
fn golden() -> Vec<(Message, &'static str)> {
    let hello = Hello {
        met: vec![lane(2, 9)],
        round: 3,
        forgot: 1,
        have: vec![(lane(1, 9), 4)],
    };
    let answer = Answer {
        nonce: 5,
        forgot: 1,
        claim: vec![Told {
            by: lane(2, 9),
            forgot: 0,
        }],
        have: vec![(lane(1, 9), 4)],
    };
    let range = Message::Range {
        lane: lane(1, 9),
        first: 3,
        last: 4,
    };
    let (lane_of, first) = (lane(1, 9), 3);
    let missing = Message::Missing {
        lane: lane_of,
        first,
    };
    vec![
        (
            Message::Hello(hello),
            "01 49 0000000000000003 00000001 00000001 0000000000000002 0000000000000009 \
             00000001 0000000000000001 0000000000000009 0000000000000004",
        ),
        (
            Message::Met(lane(2, 0x0102_0304_0506_0708)),
            "01 4d 0000000000000002 0102030405060708",
        ),
        (
            two_records(),
            "01 52 0000000000000001 0000000000000009 0000000000000003 0000000000000002 00000002 \
             00000002 6162 00000000",
        ),
        (
            Message::Have(vec![(lane(1, 9), 4)]),
            "01 48 00000001 0000000000000001 0000000000000009 0000000000000004",
        ),
        (
            Message::Logged { seq: 4, round: 2 },
            "01 4c 0000000000000004 0000000000000002",
        ),
        (Message::Confirm { round: 2 }, "01 43 0000000000000002"),
        (Message::Ask { nonce: 7 }, "01 51 0000000000000007"),
        (
            Message::Answer(answer),
            "01 41 0000000000000005 00000001 00000001 0000000000000002 0000000000000009 00000000 \
             00000001 0000000000000001 0000000000000009 0000000000000004",
        ),
        (
            range,
            "01 47 0000000000000001 0000000000000009 0000000000000003 0000000000000004",
        ),
        (
            missing,
            "01 58 0000000000000001 0000000000000009 0000000000000003",
        ),
    ]
}

#[test]
fn the_bytes_of_each_kind_stay_as_they_are() {
    for (message, expected) in golden() {
        assert_eq!(hex(&message), expected.replace(' ', ""), "{message:?}");
        assert_eq!(Message::decode(bytes(&message)), Ok(message));
    }
}

#[test]
fn what_is_too_short_too_long_or_unknown_is_refused() {
    for (message, _) in golden() {
        let whole = bytes(&message);
        for end in 0..whole.len() {
            assert_eq!(
                Message::decode(whole.slice(..end)),
                Err(BadMessage::Short),
                "{message:?}"
            );
        }
        let mut longer = BytesMut::from(&whole[..]);
        longer.put_u8(0);
        assert_eq!(Message::decode(longer.freeze()), Err(BadMessage::Long));
        let mut later = BytesMut::from(&whole[..]);
        later[0] = 2;
        assert_eq!(Message::decode(later.freeze()), Err(BadMessage::Version(2)));
    }
    let unknown = Bytes::from_static(&[1, b'?']);
    assert_eq!(Message::decode(unknown), Err(BadMessage::Kind(b'?')));
}

#[test]
fn numbers_beyond_their_limits_are_refused_before_anything_is_allocated() {
    let mut out = BytesMut::from(&[1, b'H'][..]);
    out.put_u32(u32::MAX);
    assert_eq!(Message::decode(out.freeze()), Err(BadMessage::Limit));
    for message in [
        Message::Have(vec![(lane(1, 9), u64::MAX)]),
        Message::Range {
            lane: lane(1, 9),
            first: 0,
            last: 1,
        },
        Message::Records {
            lane: lane(1, 9),
            first: u64::MAX,
            round: 0,
            records: vec![Bytes::new(); 2],
        },
    ] {
        assert_eq!(Message::decode(bytes(&message)), Err(BadMessage::Limit));
    }
}

proptest! {
    #[test]
    fn no_bytes_are_read_as_something_that_is_written_otherwise(
        kind in prop::sample::select(b"IMRHLCQAGX".to_vec()),
        rest in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..80),
    ) {
        let mut all = vec![MESSAGE_VERSION, kind];
        all.extend(rest);
        let all = Bytes::from(all);
        if let Ok(message) = Message::decode(all.clone()) {
            prop_assert_eq!(bytes(&message), all);
        }
    }
}
