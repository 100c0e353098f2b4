//! The lane and its link under orders of threads: no near copy is used under a lease that does not
//! cover it, whoever of the listener, the poller and the readers comes first.

use std::convert::Infallible;

use larder_core::bus::BusChange;
use larder_core::lane::LEASE;
use larder_core::runtime::{Mono, Runtime};

use larder_core::tag::Cut;
use larder_core::version::Version;
use shuttle::future::block_on;
use shuttle::sync::atomic::AtomicU64;
use shuttle::thread;

use super::*;
use crate::cache::Cache;
use crate::embedded::Embedded;
use crate::engine::Kept;
use crate::options::Near;
use crate::threads::{ModelRuntime, holds, needs};

type Numbers = Cache<u64, u64>;

/// A node whose link the model moves by hand: it has applied nothing, holds a copy of version 1, and
/// no lease covers it any more.
struct Scene {
    runtime: Arc<ModelRuntime>,
    node: Numbers,
    link: Link<u64>,
}

const LIFE: u64 = 77;

fn at(incarnation: u64, seq: u64) -> Position {
    Position { incarnation, seq }
}

impl Scene {
    fn new() -> Arc<Scene> {
        let runtime = ModelRuntime::without_tasks();
        let store = Embedded::new(runtime.clone());
        let node = node(&runtime, &store, "1h");
        let engine = node.engine();
        let remote = engine.remote.clone().expect("it has one");
        let link = Link::new(engine, remote);
        let sent = link.lane.lock().poll(runtime.now());
        assert_eq!(link.answer(sent, at(LIFE, 0)), None);
        let scene = Scene {
            runtime,
            link,
            node,
        };
        scene.hold(1);
        scene.runtime.pass(LEASE);
        Arc::new(scene)
    }

    fn engine(&self) -> &Arc<Engine<u64>> {
        self.node.engine()
    }

    fn key(&self) -> EngineKey {
        self.engine().key(&1u64).expect("it is a key")
    }

    /// Takes a near copy of this version.
    fn hold(&self, version: u64) {
        let (engine, key) = (self.engine(), self.key());
        let before = engine.before(&key);
        let incoming = engine
            .incoming(&key, version, None, None)
            .unwrap_or_else(|_| panic!("a number can be encoded"));
        let kept = Kept {
            version: Version(version),
            cut: Cut::default(),
            is_proven: true,
            tags: None,
            cost: std::time::Duration::ZERO,
        };
        let entry = engine.entry(&key, incoming, kept, (before.at, before.at));
        engine.admit(&key, before, &entry);
    }

    /// A record that says of the copy's key that all versions up to this one are gone.
    fn record(&self, seq: u64, version: u64) -> BusRecord {
        let removed = BusChange::new(self.key().stored(), Version(version), ChangeKind::Removed);
        BusRecord {
            position: at(LIFE, seq),
            origin: 9,
            written: self.link.store.now(),
            changes: vec![removed],
        }
    }

    /// Polls, and is told that the log is there.
    fn poll(&self, log: Position) -> Option<Gap> {
        let sent = self.link.lane.lock().poll(self.runtime.now());
        self.link.answer(sent, log)
    }

    /// Looks for the copy. Nothing but a lease that covers what the model does makes it usable.
    fn look(&self) {
        let now = self.runtime.now();
        let key = self.key();
        let found = self.engine().near.get(key.near(), now);
        assert!(found.is_none(), "a copy was used that no lease covers");
    }

    fn all(self: &Arc<Self>, threads: impl IntoIterator<Item = fn(&Scene)>) {
        let start = |work: fn(&Scene)| {
            let scene = self.clone();
            thread::spawn(move || work(&scene))
        };
        let threads: Vec<_> = threads.into_iter().map(start).collect();
        for thread in threads {
            thread.join().expect("the thread ends");
        }
    }
}

fn node(runtime: &Arc<ModelRuntime>, store: &Embedded, ttl: &'static str) -> Numbers {
    let built = Cache::builder("c")
        .ttl(ttl)
        .near(Near::bytes("1MiB"))
        .remote(store.clone())
        .runtime(runtime.clone())
        .build();
    block_on(built).expect("nothing is wrong")
}

/// The record that removes the copy is pushed, while a poll says that it is there.
fn a_record_and_a_poll() {
    let scene = Scene::new();
    let listen: fn(&Scene) = |scene| {
        let _ = scene.link.take(&scene.record(1, 1), Way::Pushed);
    };
    let poll: fn(&Scene) = |scene| {
        let _ = scene.poll(at(LIFE, 1));
    };
    let look: fn(&Scene) = |scene| (0..3).for_each(|_| scene.look());
    scene.all([listen, poll, look]);
    let until = scene.link.lane.lock().lease_until();
    assert!(
        scene.runtime.now() < until,
        "nothing is missing, and no lease"
    );
    scene.look();
}

/// A record is missing that removes the copy; those around it come, and polls say how far the log is.
fn a_gap() {
    let scene = Scene::new();
    let listen: fn(&Scene) = |scene| {
        let other = |seq| BusRecord {
            changes: Vec::new(),
            ..scene.record(seq, 0)
        };
        assert_eq!(scene.link.take(&other(1), Way::Pushed), None);
        let gap = scene.link.take(&other(3), Way::Pushed);
        assert_eq!(gap, Some(Gap { first: 2, last: 2 }));
    };
    let poll: fn(&Scene) = |scene| {
        for _ in 0..2 {
            assert!(
                scene.poll(at(LIFE, 3)).is_some(),
                "nobody has seen record 2"
            );
        }
    };
    let look: fn(&Scene) = |scene| (0..3).for_each(|_| scene.look());
    scene.all([listen, poll, look]);
    scene.look();
    assert_eq!(scene.link.take(&scene.record(2, 1), Way::Replayed), None);
    let until = scene.link.lane.lock().lease_until();
    assert!(
        scene.runtime.now() < until,
        "nothing is missing, and no lease"
    );
}

/// The shard lost its memory, and a poll tells so.
fn another_life() {
    let scene = Scene::new();
    let poll: fn(&Scene) = |scene| assert_eq!(scene.poll(at(LIFE + 1, 5)), None);
    let look: fn(&Scene) = |scene| (0..3).for_each(|_| scene.look());
    scene.all([poll, look, look]);
    scene.look();
}

/// The part of the log that is missing is gone.
fn a_trimmed_log() {
    let scene = Scene::new();
    let replay: fn(&Scene) = |scene| {
        let Some(gap) = scene.poll(at(LIFE, 4)) else {
            panic!("four records are missing");
        };
        let mut lane = scene.link.lane.lock();
        lane.on_replay(gap, 5);
        scene.link.follow(scene.engine(), &lane, "trimmed");
    };
    let look: fn(&Scene) = |scene| (0..3).for_each(|_| scene.look());
    scene.all([replay, look, look]);
    scene.look();
}

/// Two nodes on one store: one changes, the other loads and looks, and its own listener and poller
/// follow the log. After Δ nothing is found that is older than what was told by then.
fn two_nodes() {
    let runtime = ModelRuntime::new();
    let store = Embedded::new(runtime.clone());
    let reader = node(&runtime, &store, "1h");
    let writer = block_on(
        Cache::<u64, u64>::builder("c")
            .ttl("1h")
            .remote(store)
            .runtime(runtime.clone())
            .build(),
    );
    let writer = writer.expect("nothing is wrong");
    let source = Arc::new(AtomicU64::new(1));
    let told = Arc::new(Mutex::new(Vec::<(Mono, u64)>::new()));
    let changing = thread::spawn({
        let (source, told, runtime) = (source.clone(), told.clone(), runtime.clone());
        move || {
            for _ in 0..2 {
                let version = source.fetch_add(1, Ordering::SeqCst) + 1;
                let removal = writer.invalidate(&1);
                let _ = block_on(removal).expect("the store does not fail");
                told.lock().push((runtime.now(), version));
            }
        }
    });
    let look = || {
        let now = runtime.now();
        let due = |(at, _): &&(Mono, u64)| at.after(LEASE) <= now;
        let owed = told.lock().iter().filter(due).map(|told| told.1).max();
        let source = source.clone();
        let loader = move |_| async move { Ok::<_, Infallible>(source.load(Ordering::SeqCst)) };
        let found = block_on(reader.get_or_load(&1, loader));
        let found = *found.unwrap_or_else(|error| panic!("{error}"));
        let owed = owed.unwrap_or(0);
        assert!(found >= owed, "{found} was found Δ after {owed} was told");
    };
    for _ in 0..8 {
        look();
        runtime.pass(LEASE / 4);
    }
    look();
    changing.join().expect("the thread ends");
}

#[test]
fn a_record_is_counted_and_applied_in_one_step() {
    holds(a_record_and_a_poll);
    needs(Mutant::ApplyUnlocked, a_record_and_a_poll);
    needs(Mutant::LeaseLate, a_record_and_a_poll);
    needs(Mutant::LeaseBeforeReplay, a_record_and_a_poll);
}

#[test]
fn there_is_no_lease_while_a_gap_is_open() {
    holds(a_gap);
    needs(Mutant::LeaseBeforeReplay, a_gap);
    needs(Mutant::IgnoreGaps, a_gap);
}

#[test]
fn what_another_life_of_the_log_does_not_cover_is_void_before_its_lease() {
    holds(another_life);
    needs(Mutant::LeaseFirst, another_life);
    needs(Mutant::LeaseLate, another_life);
    needs(Mutant::IgnoreIncarnation, another_life);
}

#[test]
fn what_a_trimmed_log_cannot_tell_is_void_before_its_lease() {
    holds(a_trimmed_log);
    needs(Mutant::LeaseFirst, a_trimmed_log);
    needs(Mutant::IgnoreTrim, a_trimmed_log);
}

#[test]
fn two_nodes_agree_within_the_length_of_a_lease() {
    holds(two_nodes);
    needs(Mutant::IgnoreBus, two_nodes);
}
