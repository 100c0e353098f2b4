//! Flights under orders of threads: one load at a time for those who may share it, one outcome for
//! everybody who waits, whatever others do meanwhile: change the key, go away, panic.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use shuttle::future::{block_on, yield_now};
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::thread;

use super::*;
use crate::cache::Cache;
use crate::options::Near;
use crate::threads::{ModelRuntime, holds, needs};

type Numbers = Cache<u64, u64>;

/// A cache before a source of one row, whose versions only grow.
struct Scene {
    cache: Numbers,
    source: AtomicU64,
    /// Changes up to here have been told.
    told: AtomicU64,
    /// Loads under way that were asked for after the last change.
    sharable: AtomicU64,
    loads: AtomicU64,
    is_shared: AtomicBool,
}

impl Scene {
    fn new() -> Arc<Scene> {
        let built = Cache::builder("c")
            .ttl("1h")
            .near(Near::bytes("1MiB"))
            .runtime(ModelRuntime::new())
            .build();
        Arc::new(Scene {
            cache: block_on(built).expect("nothing is wrong"),
            source: AtomicU64::new(1),
            told: AtomicU64::new(0),
            sharable: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            is_shared: AtomicBool::new(true),
        })
    }

    fn key(&self) -> EngineKey {
        self.cache.engine().key(&1u64).expect("it is a key")
    }

    /// A load of the row by somebody who has been told of `told`.
    fn load(self: &Arc<Self>, told: u64, ends: fn()) -> Option<Load<u64>> {
        let scene = self.clone();
        let start = Box::new(move |_| -> BoxFuture<'static, _> {
            Box::pin(async move {
                scene.loads.fetch_add(1, Ordering::SeqCst);
                let is_last = told == LAST;
                if is_last && scene.sharable.fetch_add(1, Ordering::SeqCst) > 0 {
                    scene.is_shared.store(false, Ordering::SeqCst);
                }
                let read = scene.source.load(Ordering::SeqCst);
                for _ in 0..2 {
                    yield_now().await;
                }
                ends();
                if is_last {
                    scene.sharable.fetch_sub(1, Ordering::SeqCst);
                }
                Ok(read)
            })
        });
        let orders = Arc::new(Orders::default());
        let seat = None;
        Some(Load {
            start,
            orders,
            seat,
        })
    }

    /// Looks, joins or loads, as the cache does; what comes must not be older than what was told.
    fn ask(self: &Arc<Self>) {
        let told = self.told.load(Ordering::SeqCst);
        let (engine, key) = (self.cache.engine(), self.key());
        let mut load = self.load(told, || {});
        let landed = block_on(engine.fly(&key, &mut load, Patience::default()));
        let landed = landed.unwrap_or_else(|_| panic!("somebody who waits was forgotten"));
        let value = *landed.entry.value();
        assert!(value >= told, "{value} was given after {told} was told");
    }

    fn change(&self) {
        let version = self.source.fetch_add(1, Ordering::SeqCst) + 1;
        let removal = self.cache.invalidate(&1);
        let _ = block_on(removal).expect("the near cache does not fail");
        self.told.store(version, Ordering::SeqCst);
    }

    /// Asks, and goes away after so many looks.
    fn go_away(self: &Arc<Self>, looks: usize) {
        let told = self.told.load(Ordering::SeqCst);
        let (engine, key) = (self.cache.engine(), self.key());
        let mut load = self.load(told, || {});
        block_on(async {
            let mut flying = pin!(engine.fly(&key, &mut load, Patience::default()));
            for _ in 0..looks {
                let looked = poll_fn(|context| Poll::Ready(flying.as_mut().poll(context))).await;
                if let Poll::Ready(landed) = looked {
                    assert!(landed.is_ok(), "somebody who waits was forgotten");
                    return;
                }
                thread::yield_now();
            }
        });
    }

    fn all(self: &Arc<Self>, threads: impl IntoIterator<Item = fn(&Arc<Scene>)>) {
        let start = |work: fn(&Arc<Scene>)| {
            let scene = self.clone();
            thread::spawn(move || work(&scene))
        };
        let threads: Vec<_> = threads.into_iter().map(start).collect();
        for thread in threads {
            thread.join().expect("the thread ends");
        }
    }
}

/// What the only change of a model makes of the row.
const LAST: u64 = 2;

/// Three ask at once, and one once more.
fn callers() {
    let scene = Scene::new();
    scene.all([Scene::ask as fn(&Arc<Scene>), Scene::ask, Scene::ask]);
    scene.ask();
    assert_eq!(scene.loads.load(Ordering::SeqCst), 1);
}

/// The row changes while some ask.
fn a_change() {
    let scene = Scene::new();
    let ask_twice: fn(&Arc<Scene>) = |scene| (0..2).for_each(|_| scene.ask());
    let change_and_ask: fn(&Arc<Scene>) = |scene| {
        scene.change();
        scene.ask();
    };
    scene.all([ask_twice, ask_twice, change_and_ask]);
    assert!(
        scene.is_shared.load(Ordering::SeqCst),
        "two loads at once, which could have been one"
    );
    scene.ask();
}

/// Whoever asks may go away before the other one comes, or while that waits.
fn goers() {
    let scene = Scene::new();
    let go: fn(&Arc<Scene>) = |scene| scene.go_away(2);
    let once: fn(&Arc<Scene>) = |scene| scene.go_away(1);
    scene.all([go, once, Scene::ask]);
    scene.ask();
}

/// Whoever leads panics. All who wait hear of it, and the key is free.
fn panics() {
    let scene = Scene::new();
    let ask: fn(&Arc<Scene>) = |scene| {
        let mut load = scene.load(0, || resume_unwind(Box::new("the loader panics")));
        let landed = block_on(scene.cache.engine().fly(
            &scene.key(),
            &mut load,
            Patience::default(),
        ));
        assert!(
            matches!(landed, Err(Failure::Panicked(_))),
            "somebody who waits has not heard of the panic"
        );
    };
    scene.all([ask, ask, ask]);
    scene.ask();
}

#[test]
fn callers_at_once_share_one_load_and_all_get_its_value() {
    holds(callers);
}

#[test]
fn who_asks_after_a_change_does_not_get_what_was_loaded_before_it() {
    holds(a_change);
    needs(Mutant::DetachFlight, a_change);
    needs(Mutant::DetachEarly, a_change);
}

#[test]
fn a_flight_that_lands_leaves_the_one_after_it_on_the_board() {
    needs(Mutant::RemoveAny, a_change);
}

/// A row that is made from another one, inside of whose load that is asked for, while it changes.
fn a_dependency() {
    let scene = Scene::new();
    let ask_made: fn(&Arc<Scene>) = |scene| {
        for _ in 0..2 {
            let told = scene.told.load(Ordering::SeqCst);
            let (cache, inner) = (scene.cache.clone(), scene.clone());
            let loader = move |_| async move {
                let row = cache.get_or_load(&1, move |_| async move {
                    let read = inner.source.load(Ordering::SeqCst);
                    yield_now().await;
                    Ok::<_, Infallible>(read)
                });
                Ok::<_, Infallible>(*row.await.unwrap_or_else(|error| panic!("{error}")))
            };
            let made = block_on(scene.cache.get_or_load(&2, loader));
            let made = *made.unwrap_or_else(|error| panic!("{error}"));
            assert!(made >= told, "{made} was given after {told} was told");
        }
    };
    scene.all([ask_made, ask_made, |scene| scene.change()]);
    ask_made(&scene);
}

#[test]
fn what_is_made_from_a_row_is_not_older_than_its_change() {
    holds(a_dependency);
    needs(Mutant::NearDependents, a_dependency);
    needs(Mutant::VoidFlight, a_dependency);
    needs(Mutant::DetachEarly, a_dependency);
}

#[test]
fn nobody_who_waits_is_forgotten_when_others_go_away() {
    holds(goers);
    needs(Mutant::AbandonUnlocked, goers);
}

#[test]
fn a_panic_reaches_all_who_wait_and_frees_the_key() {
    holds(panics);
}
