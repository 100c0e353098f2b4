//! Every codec gives back what it was given, and refuses damage without a panic.

use ::bytes::Bytes;
use larder_core::codec::Codec;
#[cfg(any(feature = "json", feature = "msgpack", feature = "postcard"))]
use serde::{Deserialize, Serialize};

use super::*;

fn encoded<V, C: Codec<V>>(codec: &C, value: &V) -> Bytes {
    let mut out = Vec::new();
    codec.encode(value, &mut out).unwrap();
    out.into()
}

#[test]
fn raw_bytes_and_text_round_trip() {
    let bytes = Bytes::from_static(b"\0\xff\r\n");
    assert_eq!(
        Codec::<Bytes>::decode(&Raw, &encoded(&Raw, &bytes)).unwrap(),
        bytes
    );
    let text = "äöü".to_owned();
    assert_eq!(
        Codec::<String>::decode(&Raw, &encoded(&Raw, &text)).unwrap(),
        text
    );
    assert!(Codec::<String>::decode(&Raw, &bytes).is_err());
}

#[cfg(any(feature = "json", feature = "msgpack", feature = "postcard"))]
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct User {
    name: String,
    tags: Vec<u32>,
    parent: Option<Box<User>>,
}

#[cfg(any(feature = "json", feature = "msgpack", feature = "postcard"))]
fn checks_of<C: Codec<User> + Codec<u64> + Codec<String>>(codec: C) {
    let parent = User {
        name: "p".to_owned(),
        tags: vec![],
        parent: None,
    };
    let user = User {
        name: "日本".to_owned(),
        tags: vec![1, 2, u32::MAX],
        parent: Some(parent.into()),
    };
    let bytes = encoded::<User, C>(&codec, &user);
    assert_eq!(Codec::<User>::decode(&codec, &bytes).unwrap(), user);
    for cut in 0..bytes.len() {
        assert!(
            Codec::<User>::decode(&codec, &bytes.slice(..cut)).is_err(),
            "cut at {cut}"
        );
    }
    assert_eq!(
        Codec::<u64>::decode(&codec, &encoded::<u64, C>(&codec, &u64::MAX)).unwrap(),
        u64::MAX
    );
}

#[cfg(feature = "msgpack")]
#[test]
fn message_pack_round_trips_and_tolerates_added_fields() {
    #[derive(Serialize)]
    struct Newer {
        parent: Option<()>,
        added: bool,
        tags: Vec<u32>,
        name: String,
    }
    checks_of(MessagePack);
    let newer = Newer {
        parent: None,
        added: true,
        tags: vec![7],
        name: "n".to_owned(),
    };
    let bytes = rmp_serde::to_vec_named(&newer).unwrap();
    let user: User = MessagePack.decode(&bytes.into()).unwrap();
    assert_eq!((user.name.as_str(), user.tags.as_slice()), ("n", &[7][..]));
}

#[cfg(feature = "json")]
#[test]
fn json_round_trips() {
    checks_of(Json);
}

#[cfg(feature = "postcard")]
#[test]
fn postcard_round_trips_and_leaves_nothing_over() {
    checks_of(Postcard);
    assert!(Codec::<u64>::decode(&Postcard, &Bytes::from_static(&[1, 1])).is_err());
}
