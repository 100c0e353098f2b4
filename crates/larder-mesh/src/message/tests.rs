//! Golden bytes of every message, and what other bytes do.

use proptest::prelude::*;

use super::*;

const OPEN: Phase = Phase::Open {
    version: 1,
    most: 4096,
};

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn card(reach: Reach) -> Card {
    Card {
        versions: Versions {
            oldest: 1,
            newest: 2,
        },
        name: name("n1"),
        incarnation: Incarnation(0x0102_0304_0506_0708),
        reach,
        nonce: [0xab; 32],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn phase_of(message: &Message) -> Phase {
    match message {
        Message::Hello(..)
        | Message::Challenge(_)
        | Message::Proof(_)
        | Message::Welcome(_)
        | Message::Refused(_) => Phase::Greeting,
        _ => OPEN,
    }
}

fn taken(bytes: &[u8], phase: Phase) -> Result<Option<Message>, Wrong> {
    take(&mut BytesMut::from(bytes), phase)
}

#[test]
fn the_bytes_of_every_message_stay_as_they_are() {
    let nonce = "ab".repeat(32);
    let at = Reach::At(Address::parse("10.0.0.1:7400").unwrap());
    let cluster = ClusterName::new("c").unwrap();
    let members = vec![(name("n2"), Address::parse("h:1").unwrap())];
    let rows: [(Message, String); 10] = [
        (
            Message::Hello(cluster, card(Reach::Port(7400))),
            format!(
                "0000003d014c44524d45534831\
                 0163000100020 26e31010203040506070800\
                 1ce8{nonce}"
            ),
        ),
        (
            Message::Challenge(card(at)),
            format!("0000003b0200010002026e3101020304050607080831302e302e302e311ce8{nonce}"),
        ),
        (Message::Proof([0xab; 32]), format!("0000002103{nonce}")),
        (Message::Welcome([0xab; 32]), format!("0000002104{nonce}")),
        (
            Message::Refused(Refusal::WrongSecret),
            "000000020504".into(),
        ),
        (Message::Heartbeat(7), "00000009100000000000000007".into()),
        (Message::Echo(7), "00000009110000000000000007".into()),
        (
            Message::Members(members),
            "0000000a120001026e3201680001".into(),
        ),
        (Message::Goodbye, "0000000113".into()),
        (
            Message::Payload(Bytes::from_static(b"hi")),
            "00000003206869".into(),
        ),
    ];
    for (message, golden) in rows {
        let bytes = message.frame();
        assert_eq!(hex(&bytes), golden.replace(' ', ""), "{message:?}");
        assert_eq!(taken(&bytes, phase_of(&message)), Ok(Some(message)));
    }
}

#[test]
fn the_numbers_of_refusals_stay_as_they_are() {
    for (at, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(refusal.number(), at as u8 + 1, "{refusal:?}");
        assert_eq!(Refusal::from_number(refusal.number()), Some(refusal));
    }
    assert_eq!(Refusal::from_number(0), None);
    assert_eq!(Refusal::from_number(11), None);
}

#[test]
fn unknown_kinds_and_versions_are_errors_and_not_skipped() {
    let unknown = b"\0\0\0\x01\x63";
    for phase in [Phase::Greeting, OPEN] {
        assert_eq!(taken(unknown, phase), Err(Wrong::UnknownKind(0x63)));
    }
    let too_old = Phase::Open {
        version: 0,
        most: 100,
    };
    let bytes = Message::Goodbye.frame();
    assert_eq!(taken(&bytes, too_old), Err(Wrong::UnknownKind(GOODBYE)));
}

#[test]
fn a_message_out_of_its_phase_is_an_error() {
    let payload = Message::Payload(Bytes::from_static(b"x")).frame();
    assert_eq!(
        taken(&payload, Phase::Greeting),
        Err(Wrong::NotNow("payload"))
    );
    let proof = Message::Proof([0; 32]).frame();
    assert_eq!(taken(&proof, OPEN), Err(Wrong::NotNow("proof")));
}

#[test]
fn the_longest_greeting_fits_and_the_one_behind_it_does_not() {
    let long = "x".repeat(253);
    let reach = Reach::At(Address::of(&long, 1).unwrap());
    let card = Card {
        name: name(&long),
        ..card(reach)
    };
    let hello = Message::Hello(ClusterName::new(&long).unwrap(), card);
    let bytes = hello.frame();
    assert_eq!(taken(&bytes, Phase::Greeting), Ok(Some(hello)));
    let announced = b"\0\0\x04\x01\x01";
    assert!(matches!(
        taken(announced, Phase::Greeting),
        Err(Wrong::TooLong { bytes: 1025, .. })
    ));
}

#[test]
fn a_payload_beyond_the_limit_is_refused_though_a_list_of_members_may_be_longer() {
    let payload = |bytes| Message::Payload(vec![7; bytes].into());
    let longest = payload(4096);
    assert_eq!(taken(&longest.frame(), OPEN), Ok(Some(longest)));
    let wrong = taken(&payload(4097).frame(), OPEN).unwrap_err();
    assert!(matches!(
        wrong,
        Wrong::TooLong {
            bytes: 4097,
            most: 4096
        }
    ));
    let long = "x".repeat(253);
    let member = (name(&long), Address::of(&long, 1).unwrap());
    let members = Message::Members(vec![member; MAX_MEMBERS]);
    assert_eq!(taken(&members.frame(), OPEN), Ok(Some(members)));
    // No frame is waited for that could not be one of these.
    let announced = (MEMBERS_BYTES as u32 + 2).to_be_bytes();
    assert!(taken(&announced, OPEN).is_err());
}

#[test]
fn damaged_bodies_are_errors() {
    let sound = Message::Challenge(card(Reach::Port(1))).frame();
    let mut longer = sound.to_vec();
    longer.push(0);
    longer[3] += 1;
    assert_eq!(
        taken(&longer, Phase::Greeting),
        Err(Wrong::Body("challenge"))
    );
    // A port of 0, a name with a blank, more members than there may be.
    let mut no_port = sound.to_vec();
    let port = sound.len() - 34;
    no_port[port..port + 2].fill(0);
    assert_eq!(
        taken(&no_port, Phase::Greeting),
        Err(Wrong::Body("challenge"))
    );
    let mut blank = sound.to_vec();
    blank[10] = b' ';
    assert_eq!(
        taken(&blank, Phase::Greeting),
        Err(Wrong::Body("challenge"))
    );
    assert_eq!(
        taken(b"\0\0\0\x03\x12\x01\x01", OPEN),
        Err(Wrong::Body("members"))
    );
    assert_eq!(
        taken(b"\0\0\0\x02\x05\x0b", Phase::Greeting),
        Err(Wrong::Body("refused"))
    );
}

fn any_name() -> impl Strategy<Value = NodeName> {
    "[a-zA-Z0-9._@-]{1,253}".prop_map(|text| name(&text))
}

fn any_address() -> impl Strategy<Value = Address> {
    let host = prop_oneof![
        "[a-z0-9._-]{1,253}".prop_map(String::from),
        any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
        any::<[u8; 16]>().prop_map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
    ];
    (host, 1_u16..).prop_filter_map("a host", |(host, port)| Address::of(&host, port))
}

fn any_card() -> impl Strategy<Value = Card> {
    let reach = prop_oneof![
        (1_u16..).prop_map(Reach::Port),
        any_address().prop_map(Reach::At),
    ];
    (any::<(u16, u16, u64, [u8; 32])>(), any_name(), reach).prop_map(|(numbers, name, reach)| {
        let (oldest, newest, incarnation, nonce) = numbers;
        Card {
            versions: Versions { oldest, newest },
            name,
            incarnation: Incarnation(incarnation),
            reach,
            nonce,
        }
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let cluster = any_name().prop_map(|name| ClusterName::new(name.as_str()).unwrap());
    let members = proptest::collection::vec((any_name(), any_address()), 0..8);
    prop_oneof![
        (cluster, any_card()).prop_map(|(cluster, card)| Message::Hello(cluster, card)),
        any_card().prop_map(Message::Challenge),
        any::<[u8; 32]>().prop_map(Message::Proof),
        any::<[u8; 32]>().prop_map(Message::Welcome),
        (0..Refusal::ALL.len()).prop_map(|at| Message::Refused(Refusal::ALL[at])),
        any::<u64>().prop_map(Message::Heartbeat),
        any::<u64>().prop_map(Message::Echo),
        members.prop_map(Message::Members),
        Just(Message::Goodbye),
        proptest::collection::vec(any::<u8>(), 0..200)
            .prop_map(|bytes| Message::Payload(bytes.into())),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(messages in proptest::collection::vec(any_message(), 1..6)) {
        for message in messages {
            let frame = message.frame();
            prop_assert_eq!(taken(&frame, phase_of(&message)), Ok(Some(message.clone())));
            // A part of it is never taken for anything.
            let part = &frame[..frame.len() - 1];
            prop_assert_eq!(taken(part, phase_of(&message)), Ok(None));
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        is_open in any::<bool>(),
    ) {
        let phase = if is_open { OPEN } else { Phase::Greeting };
        let mut arrived = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = take(&mut arrived, phase) {}
    }

    #[test]
    fn damage_to_a_message_never_panics_and_is_read_as_itself_or_refused(
        message in any_message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let phase = phase_of(&message);
        let mut bytes = message.frame().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // What is read has one form: it is written as the bytes it was read from.
        if let Ok(Some(read)) = taken(&bytes, phase) {
            let again = read.frame();
            prop_assert_eq!(taken(&again, phase), Ok(Some(read)));
        }
    }
}
