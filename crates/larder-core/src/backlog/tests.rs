//! What becomes of late changes, as a table; and how much is held.

use bytes::Bytes;

use super::{Backlog, Late, Moment, Verdict, Work, verdict};
use crate::area::Area;
use crate::codec::CodecId;
use crate::record::{Kind, Life, Record};
use crate::runtime::{Mono, Timestamp};
use crate::store::Put;
use crate::tag::{Cut, Tags};
use crate::version::Version;

fn put(bytes: usize) -> Late {
    Late::Put(Box::new(Put {
        kind: Kind::Value,
        life: Life::FOREVER,
        origin: 0,
        load_cost_ms: 0,
        codec: CodecId::RAW,
        schema: 0,
        tags: Tags::default(),
        bonds: Vec::new(),
        within: None,
        cut: Cut(0),
        value: Bytes::from(vec![0; bytes]),
    }))
}

fn at(store_ms: u64, here_ms: u64) -> Moment {
    Moment {
        store: Timestamp(store_ms),
        here: Mono(here_ms * 1_000_000),
    }
}

fn stored_at(created: u64, load_cost_ms: u32) -> Record {
    Record {
        kind: Kind::Value,
        version: Version(7),
        marked_stale: false,
        origin: 0,
        load_cost_ms,
        created: Timestamp(created),
        fresh_until: None,
        expires_at: None,
        codec: CodecId::RAW,
        schema: 0,
        tags: Tags::default(),
        cut: Cut(0),
        value: Bytes::new(),
    }
}

#[test]
fn a_late_change_spares_only_what_is_newer_and_replaces_only_what_is_older() {
    use Verdict::{CarryOut, Remove, Spare};
    // A change of 100 s, by the clock of the store, carried out 60 s later.
    let (made, now) = (at(100_000, 5_000), at(160_000, 65_000));
    for (created, load_cost_ms, removal, value) in [
        (50_000, 0, CarryOut, CarryOut),
        (98_999, 0, CarryOut, CarryOut),
        // About as old as the change.
        (99_000, 0, CarryOut, Remove),
        (100_000, 0, CarryOut, Remove),
        (101_000, 0, CarryOut, Remove),
        (101_001, 0, Spare, Spare),
        (150_000, 0, Spare, Spare),
        // Stored after the change, and loaded since before it.
        (150_000, 49_000, CarryOut, Remove),
        (150_000, 48_998, Spare, Spare),
        // Nothing is younger than now: the clock was set back since.
        (170_000, 0, CarryOut, Remove),
    ] {
        let found = stored_at(created, load_cost_ms);
        let of = |late: &Late| verdict(late, made, Some(&found), now);
        assert_eq!(of(&Late::Remove), removal, "{created}, {load_cost_ms}");
        assert_eq!(of(&Late::Expire), removal, "{created}, {load_cost_ms}");
        assert_eq!(of(&put(1)), value, "{created}, {load_cost_ms}");
    }
    assert_eq!(verdict(&Late::Remove, made, None, now), CarryOut);
    // Somebody may have removed it meanwhile.
    assert_eq!(verdict(&put(1), made, None, now), Spare);
}

#[test]
fn where_clocks_do_not_agree_nothing_counts_as_newer() {
    let made = at(100_000, 5_000);
    for now in [
        // Set back, set forth, another server's clock.
        at(130_000, 65_000),
        at(158_999, 65_000),
        at(161_001, 65_000),
        at(9_000_000, 65_000),
        // This machine has started anew.
        at(160_000, 4_999),
    ] {
        let found = stored_at(155_000, 0);
        let of = |late: &Late| verdict(late, made, Some(&found), now);
        assert_eq!(of(&Late::Remove), Verdict::CarryOut, "{now:?}");
        assert_eq!(of(&put(1)), Verdict::Remove, "{now:?}");
    }
}

fn key(number: usize) -> Bytes {
    Bytes::from(format!("{number:04}"))
}

#[test]
fn the_last_change_of_a_key_is_what_waits() {
    let mut backlog = Backlog::new(10_000);
    backlog.add(key(1), put(10), at(1, 1));
    backlog.add(key(1), Late::Remove, at(2, 2));
    backlog.add_tag(key(2));
    backlog.add_tag(key(2));
    let area = Area::prefix(b"a").expect("a prefix");
    backlog.add_area(area.clone());
    backlog.add_area(area.clone());
    assert_eq!(backlog.len(), 3);
    let work = backlog.take(10);
    let expected = Work {
        everything: false,
        keys: vec![(key(1), Late::Remove, at(2, 2))],
        tags: vec![key(2)],
        areas: vec![area],
    };
    assert_eq!(work, expected);
    assert!(backlog.is_empty() && backlog.bytes == 0);
    // What has come meanwhile is newer.
    backlog.add(key(1), Late::Expire, at(3, 3));
    backlog.put_back(work);
    assert_eq!(backlog.take(10).keys, [(key(1), Late::Expire, at(3, 3))]);
}

#[test]
fn too_much_becomes_one_change_that_covers_all() {
    let mut backlog = Backlog::new(10_000);
    let added = (0..1_000).find(|&number| {
        backlog.add(key(number), Late::Remove, at(1, 1));
        backlog.len() == 1 && number > 0
    });
    assert!(added.is_some_and(|added| added > 50), "{added:?}");
    backlog.add(key(1), put(1), at(2, 2));
    backlog.add_tag(key(1));
    let work = backlog.take(10);
    assert!(work.everything && work.keys.is_empty() && work.tags.is_empty());
    assert!(backlog.is_empty());
    backlog.add(key(1), put(10_000), at(2, 2));
    assert!(backlog.take(10).everything);
    backlog.add(key(1), Late::Remove, at(3, 3));
    backlog.put_back(work);
    assert!(backlog.take(10).everything);
    backlog.add_area(Area::ALL);
    assert!(backlog.take(10).everything);
}

#[test]
fn work_is_taken_in_parts() {
    let mut backlog = Backlog::new(100_000);
    (0..10).for_each(|number| backlog.add(key(number), Late::Remove, at(1, 1)));
    backlog.add_tag(key(99));
    let first = backlog.take(4);
    assert_eq!((first.keys.len(), first.tags.len()), (4, 1));
    assert_eq!(backlog.len(), 6);
    assert_eq!(backlog.take(4).keys.len(), 4);
    assert_eq!(backlog.take(4).keys.len(), 2);
    assert!(backlog.take(4).is_empty());
    backlog.put_back(first);
    assert_eq!(backlog.len(), 5);
}
