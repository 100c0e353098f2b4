//! The guard of the near cache under orders of threads: what was read before a change, or is of a
//! version that the change superseded, is never found after it.

use std::sync::Arc;

use larder_core::freshness::NearLife;
use larder_core::tag::Cut;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::*;
use crate::threads::{holds, needs};

const NOW: Mono = Mono(1_000);
const KEY: NearKey<'static> = NearKey {
    hash: 7,
    bytes: b"k",
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
    fn new() -> Arc<Scene> {
        let near = Near::new(1 << 20, Reporter::new(None), View::unfenced());
        let scene = Scene {
            near,
            source: AtomicU64::new(1),
            replica: AtomicU64::new(1),
            told: AtomicU64::new(0),
        };
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
        tags: None,
        weight: 100,
    };
    Arc::new(Entry::new(KEY.bytes, value, meta))
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

fn clears() {
    Scene::play(|near, _| near.void(Area::ALL));
}

fn prefixes() {
    Scene::play(|near, _| near.void(Area::prefix(b"k").expect("it is short")));
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
