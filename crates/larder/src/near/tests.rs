//! The near cache alone: guard, versions, weights, listener.

use std::time::Duration;

use larder_core::freshness::NearLife;
use parking_lot::Mutex;

use super::*;
use crate::epoch::Epoch;
use crate::tags::{EntryTags, TagCells};
use larder_core::tag::{Cut, tag_key};

type Seen = Arc<Mutex<Vec<(Vec<u8>, u32, Cause)>>>;

fn near(capacity: u64) -> (Near<u32>, Seen) {
    let seen = Seen::default();
    let told = seen.clone();
    let listener = move |key: &[u8], value: &u32, cause| {
        told.lock().push((key.to_vec(), *value, cause));
    };
    (
        Near::new(
            capacity,
            Reporter::new(Some(Box::new(listener))),
            View::unfenced(Epoch::default()),
        ),
        seen,
    )
}

const KEY: NearKey<'static> = NearKey {
    hash: 0x1234_5678_9abc_def0,
    id: Id::Text(b"k"),
};
const NOW: Mono = Mono(1_000);

fn entry(value: u32, version: u64, weight: usize) -> Arc<Entry<u32>> {
    tagged_entry(value, version, weight, None)
}

fn tagged_entry(
    value: u32,
    version: u64,
    weight: usize,
    tags: Option<Box<EntryTags>>,
) -> Arc<Entry<u32>> {
    let life = NearLife {
        fresh_until: Mono(5_000),
        usable_until: Mono(9_000),
    };
    let meta = EntryMeta {
        version: Version(version),
        cut: Cut::default(),
        is_proven: true,
        created: NOW,
        life,
        refresh_from: Mono::MAX,
        load_cost: Duration::ZERO,
        proven_until: Mono(0),
        tags,
        weight,
    };
    Arc::new(Entry::new(Id::of(b"k"), Content::Own(value), meta))
}

fn value(near: &Near<u32>) -> Option<u32> {
    near.get(KEY, NOW).map(|(entry, _)| *entry.value())
}

#[test]
fn a_value_read_before_a_change_is_not_admitted_after_it() {
    let (near, _) = near(1 << 20);
    let before = near.snapshot(KEY.hash);
    near.remove(KEY, Version(1), NOW);
    assert_eq!(
        near.admit(KEY.hash, before, &entry(1, 1, 100), NOW),
        Err(Refusal::Raced)
    );
    let after = near.snapshot(KEY.hash);
    assert_eq!(near.admit(KEY.hash, after, &entry(2, 2, 100), NOW), Ok(()));
    assert_eq!(value(&near), Some(2));
}

#[test]
fn of_two_changes_the_later_version_stays_whatever_the_order_of_their_ends() {
    for first_ends_last in [false, true] {
        let (near, _) = near(1 << 20);
        let first = near.snapshot(KEY.hash);
        let second = near.snapshot(KEY.hash);
        let ends = [(first, entry(1, 1, 100)), (second, entry(2, 2, 100))];
        let order = if first_ends_last { [1, 0] } else { [0, 1] };
        for at in order {
            let (snapshot, entry) = &ends[at];
            let _ = near.conclude(KEY, *snapshot, entry, NOW);
        }
        assert_ne!(value(&near), Some(1));
    }
}

#[test]
fn a_removal_forgets_older_copies_and_keeps_newer_ones() {
    let (near, seen) = near(1 << 20);
    near.admit(KEY.hash, near.snapshot(KEY.hash), &entry(5, 5, 100), NOW)
        .unwrap();
    near.remove(KEY, Version(4), NOW);
    assert_eq!(value(&near), Some(5));
    near.remove(KEY, Version(6), NOW);
    assert_eq!(value(&near), None);
    assert_eq!(*seen.lock(), [(b"k".to_vec(), 5, Cause::Explicit)]);
}

#[test]
fn a_write_of_unknown_outcome_keeps_the_write_before_it_out() {
    let (near, _) = near(1 << 20);
    let snapshot = near.snapshot(KEY.hash);
    near.forget(KEY, NOW);
    assert_eq!(
        near.conclude(KEY, snapshot, &entry(1, 1, 100), NOW),
        Err(Refusal::Raced)
    );
    assert_eq!(value(&near), None);
}

#[test]
fn a_value_that_is_not_kept_leaves_no_predecessor() {
    let (near, _) = near(64 << 10);
    near.replace(KEY, || entry(1, 1, 100), NOW).unwrap();
    assert_eq!(
        near.replace(KEY, || entry(2, 2, 65 << 10), NOW),
        Err(Refusal::TooLarge)
    );
    assert_eq!(value(&near), None);
}

#[test]
fn an_older_version_never_replaces_a_newer_one() {
    let (near, seen) = near(1 << 20);
    let snapshot = near.snapshot(KEY.hash);
    near.admit(KEY.hash, snapshot, &entry(5, 5, 100), NOW)
        .unwrap();
    assert_eq!(
        near.admit(KEY.hash, snapshot, &entry(4, 4, 100), NOW),
        Err(Refusal::Superseded)
    );
    near.admit(KEY.hash, snapshot, &entry(6, 6, 100), NOW)
        .unwrap();
    assert_eq!(value(&near), Some(6));
    assert_eq!(*seen.lock(), [(b"k".to_vec(), 5, Cause::Replaced)]);
}

#[test]
fn a_key_with_the_same_hash_is_another_key() {
    let (near, _) = near(1 << 20);
    near.admit(KEY.hash, near.snapshot(KEY.hash), &entry(5, 5, 100), NOW)
        .unwrap();
    let twin = NearKey {
        hash: KEY.hash,
        id: Id::Text(b"other"),
    };
    assert!(near.get(twin, NOW).is_none());
    near.forget(twin, NOW);
    assert_eq!(value(&near), Some(5));
}

#[test]
fn an_entry_too_heavy_for_it_is_refused_and_said_so() {
    let (near, seen) = near(64 << 10);
    let snapshot = near.snapshot(KEY.hash);
    let heavy = entry(1, 1, 65 << 10);
    assert_eq!(
        near.admit(KEY.hash, snapshot, &heavy, NOW),
        Err(Refusal::TooLarge)
    );
    assert_eq!((value(&near), seen.lock().len()), (None, 0));
}

#[test]
fn what_does_not_fit_is_evicted_and_reported_and_a_resize_evicts_too() {
    let (near, seen) = near(64 << 10);
    for n in 0..200u64 {
        let key = n.to_be_bytes();
        let life = NearLife {
            fresh_until: Mono::MAX,
            usable_until: Mono::MAX,
        };
        let meta = EntryMeta {
            version: Version(1),
            cut: Cut::default(),
            is_proven: true,
            created: NOW,
            life,
            refresh_from: Mono::MAX,
            load_cost: Duration::ZERO,
            proven_until: Mono(0),
            tags: None,
            weight: 1 << 10,
        };
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let entry = Arc::new(Entry::new(Id::of(&key), Content::Own(n as u32), meta));
        near.admit(hash, near.snapshot(hash), &entry, NOW).unwrap();
    }
    let (held, weight) = near.size();
    assert!(weight <= 64 << 10);
    assert_eq!(held + near.reporter.count(Cause::Size), 200);
    near.resize(8 << 10);
    let (held, weight) = near.size();
    assert!(weight <= 8 << 10, "{weight}");
    assert_eq!(held + near.reporter.count(Cause::Size), 200);
    assert!(
        seen.lock()
            .iter()
            .all(|(_, _, cause)| *cause == Cause::Size)
    );
}

#[test]
fn an_expired_mark_leaves_the_value_for_fail_safe_only() {
    let (near, _) = near(1 << 20);
    near.admit(KEY.hash, near.snapshot(KEY.hash), &entry(5, 5, 100), NOW)
        .unwrap();
    near.mark_stale(KEY, Version(6), NOW);
    assert!(matches!(near.get(KEY, NOW), Some((_, Freshness::Stale))));
    assert!(
        near.get(KEY, NOW.after(Duration::from_nanos(8_000)))
            .is_none()
    );
}

#[test]
fn a_clear_forgets_all_and_refuses_what_is_being_read() {
    let (near, seen) = near(1 << 20);
    let before = near.snapshot(KEY.hash);
    near.admit(KEY.hash, before, &entry(5, 5, 100), NOW)
        .unwrap();
    near.void(Area::ALL);
    assert_eq!(value(&near), None);
    assert_eq!(seen.lock().len(), 0, "the sweep comes later");
    assert_eq!(
        near.admit(KEY.hash, before, &entry(6, 6, 100), NOW),
        Err(Refusal::Raced)
    );
}

#[test]
fn a_tag_that_rises_voids_copies_that_held_in_this_very_epoch_and_those_under_way() {
    let epoch = Epoch::default();
    let view = View::unfenced(epoch.clone());
    let near = Near::<u32>::new(1 << 20, Reporter::new(None), view);
    let cells = TagCells::new(epoch);
    let tag = tag_key("c", "a").unwrap();
    let tagged = |number: u32| {
        let held = cells.hold(std::slice::from_ref(&tag));
        cells.learn(&held, &[Cut(5)]);
        let tags = Some(Box::new(held.with(Cut(5))));
        tagged_entry(number, number.into(), 100, tags)
    };
    let (stored, under_way) = (tagged(1), tagged(2));
    let before = near.snapshot(KEY.hash);
    assert_eq!(near.admit(KEY.hash, before, &stored, NOW), Ok(()));
    // Twice: the first look is that of the epoch.
    assert_eq!((value(&near), value(&near)), (Some(1), Some(1)));
    cells.raise(&tag, 6);
    assert_eq!(value(&near), None);
    let refused = near.admit(KEY.hash, before, &under_way, NOW);
    assert_eq!(refused, Err(Refusal::TagRaced));
    // Another rise, of what no copy depends on, brings nothing back.
    cells.raise_or_insert(&tag_key("c", "b").unwrap(), 7);
    assert_eq!(value(&near), None);
}

#[test]
fn what_is_made_of_a_value_whose_tag_rose_meanwhile_does_not_take_its_place() {
    let view = View::unfenced(Epoch::default());
    let cells = TagCells::new(view.shared_epoch());
    let near = Near::<u32>::new(1 << 20, Reporter::new(None), view);
    let tag = tag_key("c", "a").unwrap();
    let held = cells.hold(std::slice::from_ref(&tag));
    cells.learn(&held, &[Cut(5)]);
    let tags = held.with(Cut(5));
    let old = tagged_entry(1, 1, 100, Some(Box::new(tags.clone())));
    let before = near.snapshot(KEY.hash);
    assert_eq!(near.admit(KEY.hash, before, &old, NOW), Ok(()));
    let before = near.snapshot(KEY.hash);
    let (seen, _) = near.get(KEY, NOW).unwrap();
    let made = tagged_entry(2, 2, 100, Some(Box::new(tags)));
    cells.raise(&tag, 6);
    let seen = (before, Some(&seen));
    assert_eq!(near.exchange(KEY, seen, Some(&made), NOW), Ok(false));
    assert_eq!(value(&near), None);
}
