//! The guard of the near cache under orders of threads: what was read before a change, or is of a
//! version that the change superseded, is never found after it.

use std::sync::Arc;

use larder_core::freshness::NearLife;
use larder_core::tag::{Cut, tag_key};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::*;
use crate::epoch::Epoch;
use crate::tags::{EntryTags, TagCells};
use crate::threads::{holds, needs};

const NOW: Mono = Mono(1_000);
const KEY: NearKey<'static> = NearKey {
    hash: 7,
    id: Id::Text(b"k"),
};

/// A near cache before a source of one row, whose versions only grow.
struct Scene {
    near: Near<u64>,
    source: AtomicU64,
    /// A replica of the source, which lags behind.
    replica: AtomicU64,
    /// Changes up to here have been told: nobody who asks afterwards may find what is older.
    told: AtomicU64,
}

impl Scene {
    fn empty() -> Scene {
        let view = View::unfenced(Epoch::default());
        Scene {
            near: Near::new(1 << 20, Reporter::new(None), view),
            source: AtomicU64::new(1),
            replica: AtomicU64::new(1),
            told: AtomicU64::new(0),
        }
    }

    fn new() -> Arc<Scene> {
        let scene = Scene::empty();
        let before = scene.near.snapshot(KEY.hash);
        scene
            .near
            .admit(KEY.hash, before, &entry(1), NOW)
            .expect("nothing has changed yet");
        Arc::new(scene)
    }

    /// Reads from `place` and offers what it read.
    fn fill(&self, place: &AtomicU64) {
        let before = self.near.snapshot(KEY.hash);
        let read = place.load(Ordering::SeqCst);
        let _ = self.near.admit(KEY.hash, before, &entry(read), NOW);
    }

    fn change(&self, apply: impl FnOnce(&Near<u64>, u64)) {
        let version = self.source.fetch_add(1, Ordering::SeqCst) + 1;
        // What it supersedes.
        apply(&self.near, version - 1);
        self.told.fetch_max(version, Ordering::SeqCst);
        self.replica.fetch_max(version, Ordering::SeqCst);
    }

    fn look(&self) {
        let told = self.told.load(Ordering::SeqCst);
        let found = self.near.get(KEY, NOW);
        let found = found.filter(|(_, freshness)| *freshness == Freshness::Fresh);
        if let Some((entry, _)) = found {
            let value = *entry.value();
            assert!(value >= told, "{value} was found after {told} was told");
        }
    }

    /// Two who fill, one who changes twice, one who looks.
    fn play(change: fn(&Near<u64>, u64)) {
        Scene::played(change, |scene| &scene.source);
    }

    fn played(change: fn(&Near<u64>, u64), place: fn(&Scene) -> &AtomicU64) {
        let scene = Scene::new();
        let threads: [Box<dyn FnOnce(&Scene) + Send>; 4] = [
            Box::new(move |scene| scene.fill(place(scene))),
            Box::new(move |scene| scene.fill(place(scene))),
            Box::new(move |scene| (0..2).for_each(|_| scene.change(change))),
            Box::new(|scene| (0..3).for_each(|_| scene.look())),
        ];
        let start = |work: Box<dyn FnOnce(&Scene) + Send>| {
            let scene = scene.clone();
            thread::spawn(move || work(&scene))
        };
        for thread in threads.map(start) {
            thread.join().expect("the thread ends");
        }
        scene.look();
    }
}

fn entry(value: u64) -> Arc<Entry<u64>> {
    tagged_entry(value, None)
}

fn tagged_entry(value: u64, tags: Option<Box<EntryTags>>) -> Arc<Entry<u64>> {
    let life = NearLife {
        fresh_until: Mono::MAX,
        usable_until: Mono::MAX,
    };
    let meta = EntryMeta {
        version: Version(value),
        cut: Cut::default(),
        is_proven: true,
        created: NOW,
        life,
        proven_until: Mono(0),
        refresh_from: Mono::MAX,
        load_cost: std::time::Duration::ZERO,
        tags,
        weight: 100,
    };
    Arc::new(Entry::new(KEY.id, Content::Own(value), meta))
}

/// The same source, whose row bears a tag that every change invalidates.
struct Tagged {
    scene: Scene,
    cells: TagCells,
    /// The number of the tag, as the remote tier has it.
    number: AtomicU64,
}

impl Tagged {
    fn new() -> Arc<Tagged> {
        let scene = Scene::empty();
        let tagged = Tagged {
            cells: TagCells::new(scene.near.view().shared_epoch()),
            scene,
            number: AtomicU64::new(1),
        };
        tagged.fill();
        Arc::new(tagged)
    }

    fn fill(&self) {
        let near = &self.scene.near;
        let before = near.snapshot(KEY.hash);
        let cut = Cut(self.number.load(Ordering::SeqCst));
        let read = self.scene.source.load(Ordering::SeqCst);
        let held = self.cells.hold(&[tag()]);
        let number = Cut(self.number.load(Ordering::SeqCst));
        self.cells.learn(&held, &[number]);
        let tags = Some(Box::new(held.with(cut)));
        let _ = near.admit(KEY.hash, before, &tagged_entry(read, tags), NOW);
    }

    fn change(&self) {
        let scene = &self.scene;
        let version = scene.source.fetch_add(1, Ordering::SeqCst) + 1;
        self.number.fetch_max(version, Ordering::SeqCst);
        self.cells.raise(&tag(), version);
        scene.told.fetch_max(version, Ordering::SeqCst);
    }
}

fn tag() -> bytes::Bytes {
    tag_key("c", "a").expect("it is short")
}

impl Tagged {
    fn play<const N: usize>(threads: [fn(&Tagged); N]) {
        let tagged = Tagged::new();
        let start = |work: fn(&Tagged)| {
            let tagged = tagged.clone();
            thread::spawn(move || work(&tagged))
        };
        for thread in threads.map(start) {
            thread.join().expect("the thread ends");
        }
        tagged.scene.look();
    }
}

/// Two who fill, one who changes twice, one who looks, and one who voids what is not there.
fn tags() {
    Tagged::play([
        Tagged::fill,
        Tagged::fill,
        |tagged| (0..2).for_each(|_| tagged.change()),
        |tagged| (0..3).for_each(|_| tagged.scene.look()),
        |tagged| {
            let elsewhere = Area::prefix(b"x").expect("it is short");
            tagged.scene.near.void(elsewhere);
        },
    ]);
}

/// One who hears of a change from the remote tier, beside the one who makes it.
fn tags_that_are_asked_for() {
    Tagged::play([Tagged::fill, |tagged| {
        tagged.change();
        tagged.scene.look();
    }]);
}

fn removals() {
    Scene::play(|near, superseded| near.remove(KEY, Version(superseded), NOW));
}

fn removals_before_a_replica_that_lags() {
    Scene::played(
        |near, superseded| near.remove(KEY, Version(superseded), NOW),
        |scene| &scene.replica,
    );
}

fn expiries() {
    Scene::play(|near, superseded| near.mark_stale(KEY, Version(superseded), NOW));
}

fn writes() {
    Scene::play(|near, superseded| {
        let before = near.snapshot(KEY.hash);
        let _ = near.conclude(KEY, before, &entry(superseded + 1), NOW);
    });
}

fn expiries_of_all() {
    Scene::play(|near, _| near.void(Area::Expired));
}

fn clears() {
    Scene::play(|near, _| near.void(Area::ALL));
}

fn prefixes() {
    Scene::play(|near, _| near.void(Area::prefix(b"k").expect("it is short")));
}

/// Two who make the value one more, twice each, while somebody fills.
fn exchanges() {
    let scene = Scene::new();
    let more = |scene: &Scene| {
        loop {
            let snapshot = scene.near.snapshot(KEY.hash);
            let Some((seen, _)) = scene.near.get(KEY, NOW) else {
                continue;
            };
            let next = entry(seen.value() + 1);
            let seen = (snapshot, Some(&seen));
            match scene.near.exchange(KEY, seen, Some(&next), NOW) {
                Ok(true) => return,
                Ok(false) => {}
                Err(refusal) => panic!("{refusal:?}"),
            }
        }
    };
    let start = |work: Box<dyn Fn(&Scene) + Send>| {
        let scene = scene.clone();
        thread::spawn(move || work(&scene))
    };
    let threads: [Box<dyn Fn(&Scene) + Send>; 3] = [
        Box::new(move |scene| (0..2).for_each(|_| more(scene))),
        Box::new(move |scene| (0..2).for_each(|_| more(scene))),
        Box::new(|scene| scene.fill(&scene.replica)),
    ];
    for thread in threads.map(start) {
        thread.join().expect("the thread ends");
    }
    let (last, _) = scene.near.get(KEY, NOW).expect("it is never removed");
    assert_eq!(*last.value(), 5);
}

#[test]
fn what_was_read_before_a_removal_is_never_found_after_it() {
    holds(removals);
    needs(Mutant::StripeCount, removals);
    needs(Mutant::Conclude, removals);
}

#[test]
fn what_a_removal_superseded_is_never_found_after_it_wherever_it_is_read() {
    holds(removals_before_a_replica_that_lags);
    needs(Mutant::VersionFloor, removals_before_a_replica_that_lags);
}

#[test]
fn deciding_and_storing_are_one_step() {
    needs(Mutant::AdmitUnlocked, removals);
}

#[test]
fn what_was_read_before_an_expiry_is_never_fresh_after_it() {
    holds(expiries);
    needs(Mutant::StripeCount, expiries);
}

#[test]
fn what_was_read_before_all_expired_is_never_fresh_after_it() {
    holds(expiries_of_all);
    needs(Mutant::AreaEpoch, expiries_of_all);
    needs(Mutant::LateEpoch, expiries_of_all);
    needs(Mutant::EpochFirst, expiries_of_all);
}

#[test]
fn what_was_read_before_a_write_is_never_found_after_it() {
    holds(writes);
}

#[test]
fn what_was_read_before_a_clear_is_never_found_after_it() {
    holds(clears);
    needs(Mutant::AreaEpoch, clears);
    needs(Mutant::LateEpoch, clears);
    needs(Mutant::EpochFirst, clears);
}

#[test]
fn what_was_read_before_a_prefix_was_voided_is_never_found_after_it() {
    holds(prefixes);
    needs(Mutant::AreaEpoch, prefixes);
    needs(Mutant::LateEpoch, prefixes);
    needs(Mutant::EpochFirst, prefixes);
}

#[test]
fn what_was_read_before_a_tag_rose_is_never_found_after_it() {
    holds(tags);
    needs(Mutant::TagCheck, tags);
    needs(Mutant::TagEpoch, tags);
    needs(Mutant::LateEpoch, tags);
    needs(Mutant::EpochFirst, tags);
}

#[test]
fn what_the_remote_tier_tells_of_a_tag_is_in_force_once_its_change_is_told() {
    holds(tags_that_are_asked_for);
    needs(Mutant::LearnUnlocked, tags_that_are_asked_for);
}

#[test]
fn of_two_who_exchange_at_once_none_is_lost() {
    holds(exchanges);
    needs(Mutant::Exchange, exchanges);
}
