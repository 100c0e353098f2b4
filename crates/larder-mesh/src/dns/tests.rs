//! Answers as servers write them, and what is none.

use proptest::prelude::*;

use super::*;

fn ask(name: &str, kind: Kind) -> Vec<u8> {
    question(0x1234, name, kind).unwrap()
}

/// An answer to the question with these flags and so many records.
fn reply(question: &[u8], flags: u16, count: u16, records: &[u8]) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2..4].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(records);
    bytes
}

const SOUND: u16 = 0x8180;

#[test]
fn a_question_has_the_bytes_of_the_standard() {
    let bytes = ask("node.example.", Kind::Srv);
    let expected = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04node\x07example\0\0\x21\0\x01";
    assert_eq!(bytes, expected);
    for bad in ["", ".", "a..b", &"x".repeat(64), &"abc.".repeat(70)] {
        assert_eq!(question(1, bad, Kind::A), None, "{bad}");
    }
}

#[test]
fn addresses_services_and_aliases_are_found() {
    let question = ask("n.x", Kind::A);
    // n.x is c.x by a compressed name, and c.x has two addresses, one of them twice; the address of
    // y.x is nobody's.
    let records = b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x04\x01c\xc0\x0e\
        \x01C\x01x\0\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x02\
        \x01c\x01x\0\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01\
        \x01c\x01x\0\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01\
        \x01y\x01x\0\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x09";
    let ip = |last| Found::Ip(Ipv4Addr::new(10, 0, 0, last).into());
    let found = answer(&question, &reply(&question, SOUND, 5, records));
    assert_eq!(found, Ok(Answer::Found(vec![ip(1), ip(2)])));

    let question = ask("s.x", Kind::Srv);
    let records = b"\xc0\x0c\0\x21\0\x01\0\0\0\x05\0\x0a\0\x01\0\x02\x1c\xe8\x01a\xc0\x0e";
    let found = answer(&question, &reply(&question, SOUND, 1, records));
    let service = Found::Service("a.x".to_owned(), 7400);
    assert_eq!(found, Ok(Answer::Found(vec![service])));

    let question = ask("n.x", Kind::Aaaa);
    let records = b"\xc0\x0c\0\x1c\0\x01\0\0\0\x05\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    let found = answer(&question, &reply(&question, SOUND, 1, records));
    let loopback = Found::Ip(Ipv6Addr::LOCALHOST.into());
    assert_eq!(found, Ok(Answer::Found(vec![loopback])));
}

#[test]
fn no_such_name_is_an_answer_and_a_failing_server_is_none() {
    let question = ask("n.x", Kind::A);
    let of = |flags| answer(&question, &reply(&question, flags, 0, b""));
    assert_eq!(of(SOUND), Ok(Answer::Found(vec![])));
    assert_eq!(of(SOUND | 3), Ok(Answer::Found(vec![])));
    assert_eq!(of(SOUND | 2), Err(Bad::Server(2)));
    assert_eq!(of(SOUND | 0x0200), Ok(Answer::Truncated));
}

#[test]
fn the_answer_to_another_question_is_not_taken() {
    let question = ask("n.x", Kind::A);
    let other_id = super::question(0x1235, "n.x", Kind::A).unwrap();
    let others = [
        reply(&other_id, SOUND, 0, b""),
        reply(&ask("m.x", Kind::A), SOUND, 0, b""),
        reply(&ask("n.x", Kind::Aaaa), SOUND, 0, b""),
        question.clone(),
        b"\x12".to_vec(),
    ];
    for other in others {
        assert_eq!(answer(&question, &other), Err(Bad::NotMine));
    }
    // Servers may spell the name in other cases.
    let mut loud = reply(&question, SOUND, 0, b"");
    loud[HEADER_BYTES + 1] = b'N';
    assert_eq!(answer(&question, &loud), Ok(Answer::Found(vec![])));
}

#[test]
fn records_that_do_not_add_up_are_damaged() {
    let question = ask("n.x", Kind::A);
    let damaged: [&[u8]; 5] = [
        b"",
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x03\x0a\0\0",
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0",
        // A name that leads to itself, and one that leads forward.
        b"\xc0\x15\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01",
        b"\xc0\x20\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01",
    ];
    for records in damaged {
        let found = answer(&question, &reply(&question, SOUND, 1, records));
        assert_eq!(found, Err(Bad::Damaged), "{records:?}");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(
        flags in any::<u8>(),
        count in any::<u16>(),
        records in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for kind in [Kind::A, Kind::Srv] {
            let question = ask("n.x", kind);
            let flags = SOUND | u16::from(flags & 3);
            let _ = answer(&question, &reply(&question, flags, count, &records));
            let _ = answer(&question, &records);
        }
    }
}
