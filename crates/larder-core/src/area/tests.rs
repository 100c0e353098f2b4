//! Tables for areas.

use super::*;
use proptest::prelude::*;

fn prefix(text: &str) -> Area {
    Area::prefix(text.as_bytes()).unwrap()
}

fn pattern(text: &str) -> Area {
    Area::pattern(text.as_bytes()).unwrap()
}

#[test]
fn an_area_voids_what_it_covers_and_what_is_older() {
    let mut areas = Areas::default();
    areas.add(Cut(10), prefix("shoes:"));
    areas.add(Cut(20), pattern("search:*:page:?"));
    assert!(areas.cover(b"shoes:1", Cut(9)));
    assert!(!areas.cover(b"shoes:1", Cut(10)), "it was read after that");
    assert!(!areas.cover(b"boots:1", Cut(9)));
    assert!(areas.cover(b"search:x:page:1", Cut(19)));
    assert!(!areas.cover(b"search:x:page:12", Cut(19)));
    assert_eq!(areas.latest(), Cut(20));
}

#[test]
fn all_of_a_cache_is_a_floor() {
    let mut areas = Areas::default();
    areas.add(Cut(10), prefix("a"));
    areas.add(Cut(30), prefix("c"));
    areas.add(Cut(20), Area::ALL);
    assert!(areas.cover(b"x", Cut(19)) && !areas.cover(b"x", Cut(20)));
    assert_eq!(areas.areas, [(Cut(30), prefix("c"))]);
    // Late news of what the floor has swallowed.
    areas.add(Cut(15), prefix("x"));
    assert_eq!(areas.areas.len(), 1);
}

#[test]
fn the_same_area_again_takes_no_room() {
    let mut areas = Areas::default();
    for number in 1..1_000 {
        areas.add(Cut(number), prefix("a"));
    }
    areas.add(Cut(500), prefix("a"));
    assert_eq!(areas.areas, [(Cut(999), prefix("a"))]);
    assert_eq!(areas.floor, Cut(0));
}

#[test]
fn too_many_areas_void_everything_older_and_forget_nothing() {
    let mut areas = Areas::default();
    for number in 1..=MAX_AREAS as u64 + 1 {
        areas.add(Cut(number), prefix(&number.to_string()));
    }
    assert_eq!(areas.floor, Cut(MAX_AREAS as u64 + 1));
    assert!(areas.areas.is_empty());
    assert!(areas.cover(b"1", Cut(0)) && areas.cover(b"untouched", Cut(MAX_AREAS as u64)));
}

#[test]
fn limits_are_named() {
    let long = vec![b'x'; MAX_AREA_BYTES + 1];
    assert!(Area::prefix(&long).unwrap_err().to_string().contains("257"));
    assert!(Area::pattern(&long).is_err());
    assert!(Area::pattern(b"").is_err());
    assert_eq!(Area::prefix(b"").unwrap(), Area::ALL);
}

#[test]
fn what_cannot_be_read_voids_everything() {
    let mut areas = Areas::default();
    areas.add(Cut(7), prefix("shoes:"));
    let bytes = areas.encode();
    assert_eq!(Areas::decode(&bytes), areas);
    for cut in (0..bytes.len()).filter(|cut| *cut != 32) {
        let areas = Areas::decode(&bytes.slice(..cut));
        assert_eq!(areas, Areas::unknown(), "{cut}");
    }
    assert!(Areas::unknown().cover(b"x", Cut(1 << 53)));
}

#[test]
fn keys_of_areas_name_their_cache() {
    assert_eq!(cache_of(&area_key("app:users")), Some("app:users"));
    assert_eq!(cache_of(b"area:app:users"), None);
}

fn any_area() -> impl Strategy<Value = (u64, Area)> {
    let bytes = proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'*'), Just(b'b')], 0..4);
    (1_u64..40, bytes, any::<bool>()).prop_map(|(number, bytes, is_prefix)| {
        let area = match Area::pattern(&bytes) {
            Ok(area) if !is_prefix => area,
            _ => Area::prefix(&bytes).unwrap(),
        };
        (number, area)
    })
}

proptest! {
    #[test]
    fn no_order_of_arrival_makes_void_what_is_not_or_keeps_what_is(
        news in proptest::collection::vec(any_area(), 0..12),
        key in "[ab]{0,4}",
        cut in 0_u64..40,
    ) {
        let expected = news.iter().any(|(number, area)| *number > cut && area.covers(key.as_bytes()));
        let mut areas = Areas::default();
        for (number, area) in &news {
            areas.add(Cut(*number), area.clone());
        }
        prop_assert_eq!(areas.cover(key.as_bytes(), Cut(cut)), expected);
        let mut halves = [Areas::default(), Areas::default()];
        for (at, (number, area)) in news.iter().enumerate() {
            halves[at % 2].add(Cut(*number), area.clone());
        }
        let [mut one, other] = halves;
        one.merge(other);
        prop_assert_eq!(one.cover(key.as_bytes(), Cut(cut)), expected);
        prop_assert_eq!(Areas::decode(&one.encode()), one);
    }
}

#[test]
fn what_is_expired_is_stale_and_what_is_void_as_well_is_void() {
    let mut areas = Areas::default();
    areas.add(Cut(10), prefix("a"));
    areas.add(Cut(20), Area::Expired);
    assert_eq!(areas.covered(b"a", Cut(9)), Covered::Void);
    assert_eq!(areas.covered(b"a", Cut(10)), Covered::Stale);
    assert_eq!(areas.covered(b"b", Cut(9)), Covered::Stale);
    assert_eq!(areas.covered(b"b", Cut(20)), Covered::Not);
    let read = Areas::decode(&areas.encode());
    assert_eq!(read, areas);
    areas.add(Cut(30), Area::ALL);
    assert_eq!(areas.covered(b"b", Cut(29)), Covered::Void);
}
