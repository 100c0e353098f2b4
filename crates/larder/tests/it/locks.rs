//! Locks: who holds one, for how long, what is left behind, and what a late holder cannot do.

mod fenced;
mod meters;
mod real;
mod stopped;

use std::sync::Arc;
use std::time::Duration;

use larder::core::store::Store;
use larder::embedded::Embedded;
use larder::{Cache, ErrorKind, LockGuard, Locks, Near, TokioRuntime};
use larder_testkit::mesh::{Members, MeshNodes};

use crate::support::{Oops, Op, Trouble, Users, World, in_time, settle};

const TTL: Duration = Duration::from_secs(9);
const SECOND: Duration = Duration::from_secs(1);

/// Two processes over one store.
async fn two(world: &World) -> (Users, Users) {
    let one = world.both().build().await.unwrap();
    (one, world.both().build().await.unwrap())
}

async fn held(users: &Users, key: u64) -> LockGuard {
    let guard = users.try_lock(&key, TTL).await.unwrap();
    guard.expect("nobody holds it")
}

async fn is_taken(users: &Users, key: u64) -> bool {
    users.try_lock(&key, TTL).await.unwrap().is_none()
}

#[tokio::test]
async fn a_lock_that_is_held_is_given_to_nobody_else() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let guard = held(&one, 1).await;
    assert!(is_taken(&other, 1).await && is_taken(&one, 1).await);
    assert!(!is_taken(&other, 2).await);
    assert!(guard.release().await.unwrap());
    assert!(!is_taken(&other, 1).await);
    let stats = one.locks().unwrap().stats();
    assert_eq!((stats.acquired, stats.taken, stats.released), (1, 1, 1));
}

#[tokio::test]
async fn a_guard_that_is_dropped_gives_its_lock_back() {
    let world = World::new();
    let (one, other) = two(&world).await;
    drop(held(&one, 1).await);
    settle().await;
    assert!(!is_taken(&other, 1).await);
    assert_eq!(one.locks().unwrap().stats().lost, 0);
}

#[tokio::test]
async fn a_holder_relies_on_its_lock_for_less_than_the_store_keeps_it() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let guard = held(&one, 1).await;
    world.clock.advance(8 * SECOND).await;
    assert!(guard.is_held() && guard.remaining() == Duration::from_millis(100));
    world.clock.advance(Duration::from_millis(100)).await;
    assert!(!guard.is_held() && guard.remaining().is_zero());
    assert!(is_taken(&other, 1).await, "it may still be at work");
    world.clock.advance(SECOND).await;
    let next = held(&other, 1).await;
    assert!(next.token() > guard.token());
    assert!(!guard.release().await.unwrap(), "it is not its lock");
    assert!(is_taken(&one, 1).await);
    assert_eq!(one.locks().unwrap().stats().lost, 1);
}

#[tokio::test]
async fn tokens_grow_from_holder_to_holder() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let mut last = held(&one, 1).await;
    for round in 0..10 {
        let before = last.token();
        last.release().await.unwrap();
        let holder = if round % 2 == 0 { &other } else { &one };
        last = held(holder, 1).await;
        assert!(last.token() > before, "{last:?} after {before:?}");
    }
}

#[tokio::test]
async fn a_lock_that_is_renewed_is_held_until_it_is_given_back() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let request = one.lock(&1, TTL).unwrap().renewed_for("1h");
    let guard = request.acquire().await.unwrap();
    for _ in 0..20 {
        world.clock.advance(3 * SECOND).await;
        assert!(guard.is_held());
        assert!(is_taken(&other, 1).await);
    }
    let renewed = one.locks().unwrap().stats().renewed;
    assert!(renewed >= 19, "{renewed}");
    assert!(guard.release().await.unwrap());
    assert!(!is_taken(&other, 1).await);
    let asked = world.store.calls(Op::Prolong);
    world.clock.advance(60 * SECOND).await;
    assert_eq!(world.store.calls(Op::Prolong), asked, "nobody renews it");
}

#[tokio::test]
async fn a_lock_is_renewed_for_so_long_and_no_longer() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let request = one.lock(&1, TTL).unwrap().renewed_for("20s");
    let guard = request.acquire().await.unwrap();
    for _ in 0..10 {
        world.clock.advance(3 * SECOND).await;
    }
    in_time(guard.lost()).await;
    assert!(!guard.is_held() && !is_taken(&other, 1).await);
}

#[tokio::test]
async fn who_cannot_renew_its_lock_is_told_that_it_is_lost() {
    let world = World::new();
    let users = world.both().build().await.unwrap();
    let request = users.lock(&1, TTL).unwrap().renewed_for("1h");
    let guard = Arc::new(request.acquire().await.unwrap());
    let lost = tokio::spawn({
        let guard = guard.clone();
        async move { guard.lost().await }
    });
    world.store.hurt(Trouble::Refuses);
    for _ in 0..8 {
        world.clock.advance(SECOND).await;
        assert!(!lost.is_finished());
    }
    world.clock.advance(SECOND).await;
    in_time(lost).await.unwrap();
    assert_eq!(users.locks().unwrap().stats().lost, 1);
}

#[tokio::test]
async fn a_lock_that_was_lost_stays_so_though_the_store_would_prolong_it() {
    let world = World::new();
    let users = world.both().build().await.unwrap();
    let guard = Arc::new(held(&users, 1).await);
    let gate = world.store.gate(Op::Prolong);
    let renewed = tokio::spawn({
        let guard = guard.clone();
        async move { guard.renew().await }
    });
    gate.reached().await;
    world.clock.advance(Duration::from_millis(8_100)).await;
    assert!(!guard.is_held(), "somebody may act on this");
    gate.open();
    assert!(!in_time(renewed).await.unwrap().unwrap());
    assert!(!guard.is_held());
}

#[tokio::test]
async fn who_waits_is_told_when_the_lock_is_given_back() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let guard = held(&one, 1).await;
    let waiting = tokio::spawn({
        let request = other.lock(&1, TTL).unwrap().wait("1h");
        async move { request.acquire().await }
    });
    settle().await;
    world.clock.advance(Duration::from_millis(1)).await;
    assert!(!waiting.is_finished());
    // No time passes: nobody would look by itself.
    assert!(guard.release().await.unwrap());
    let next = in_time(waiting).await.unwrap().unwrap();
    assert!(next.is_held());
    assert_eq!(other.locks().unwrap().stats().waited, 1);
}

#[tokio::test]
async fn who_waits_and_is_told_nothing_looks_by_itself() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let _deaf = world.store.barrier(Op::Releases);
    let guard = held(&one, 1).await;
    let waiting = tokio::spawn({
        let request = other.lock(&1, TTL).unwrap().wait("1h");
        async move { request.acquire().await }
    });
    settle().await;
    assert!(guard.release().await.unwrap());
    settle().await;
    assert!(!waiting.is_finished());
    world.clock.advance(Duration::from_millis(500)).await;
    assert!(in_time(waiting).await.unwrap().unwrap().is_held());
}

#[tokio::test]
async fn waiting_has_an_end() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let request = one.lock(&1, "1h").unwrap();
    let _guard = request.acquire().await.unwrap();
    let waiting = tokio::spawn({
        let request = other.lock(&1, TTL).unwrap().wait("5s");
        async move { request.acquire().await }
    });
    for _ in 0..49 {
        world.clock.advance(Duration::from_millis(100)).await;
    }
    assert!(!waiting.is_finished());
    world.clock.advance(Duration::from_millis(100)).await;
    let error = in_time(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let looks = world.store.calls(Op::Acquire);
    assert!((10..60).contains(&looks), "{looks} looks in 5 s");
}

#[tokio::test]
async fn who_asks_again_because_the_reply_was_lost_finds_itself() {
    let world = World::new();
    let (one, other) = two(&world).await;
    world.store.hurt(Trouble::LosesReplies);
    let asking = tokio::spawn({
        let request = one.lock(&1, TTL).unwrap().wait("5s");
        async move { request.acquire().await }
    });
    settle().await;
    assert!(!asking.is_finished());
    world.store.heal();
    assert!(is_taken(&other, 1).await, "it was given");
    world.clock.advance(Duration::from_millis(500)).await;
    let guard = in_time(asking).await.unwrap().unwrap();
    assert!(guard.is_held());
}

#[tokio::test]
async fn a_request_that_failed_leaves_no_lock_behind() {
    let world = World::new();
    let (one, other) = two(&world).await;
    world.store.hurt(Trouble::LosesReplies);
    let error = one.try_lock(&1, TTL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    settle().await;
    world.store.heal();
    assert!(!is_taken(&other, 1).await);
}

#[tokio::test]
async fn a_request_that_is_dropped_leaves_no_lock_behind() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let gate = world.store.gate(Op::Acquire);
    let asking = tokio::spawn({
        let one = one.clone();
        async move { one.try_lock(&1, TTL).await }
    });
    gate.reached().await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    settle().await;
    assert!(!is_taken(&other, 1).await);
}

#[tokio::test]
async fn an_answer_that_comes_when_the_lock_is_over_is_no_lock() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let gate = world.store.gate(Op::Acquire);
    let asking = tokio::spawn({
        let one = one.clone();
        async move { one.try_lock(&1, TTL).await }
    });
    gate.reached().await;
    world.clock.advance(TTL).await;
    gate.open();
    assert!(in_time(asking).await.unwrap().unwrap().is_none());
    settle().await;
    assert!(!is_taken(&other, 1).await);
}

#[tokio::test]
async fn locks_of_no_or_of_endless_life_are_refused() {
    let users = World::new().both().build().await.unwrap();
    for ttl in ["0s", "9ms", "25h", "soon"] {
        let error = users.try_lock(&1, ttl).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{ttl}");
    }
    let request = users.lock(&1, TTL).unwrap().wait("never");
    assert_eq!(
        request.acquire().await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[tokio::test]
async fn what_cannot_have_locks_says_so() {
    let world = World::new();
    let near_only = world.near_only().build().await.unwrap();
    let nodes = MeshNodes::start(1, Members::Configured).await;
    let mesh: Arc<dyn Store> = Arc::new(nodes.node(0).clone());
    let meshed: Users = world.bare().remote(mesh).build().await.unwrap();
    for users in [near_only, meshed] {
        let errors = [
            users.locks().err(),
            users.rate_limits().err(),
            users.counters().err(),
            users.try_lock(&1, TTL).await.err(),
        ];
        for error in errors {
            let error = error.expect("there are none");
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            assert!(error.message().contains("embedded store"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_load_under_its_lock_waits_for_who_holds_it() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let guard = held(&one, 1).await;
    let load = tokio::spawn({
        let other = other.clone();
        async move {
            other
                .get_with_lock(&1, |_| async { Ok::<_, Oops>(7) })
                .await
        }
    });
    settle().await;
    assert!(!load.is_finished());
    assert!(guard.release().await.unwrap());
    assert_eq!(*in_time(load).await.unwrap().unwrap(), 7);
    assert!(!is_taken(&one, 1).await, "it was given back");
    let again = one.get_with_lock(&1, |_| async { Err(Oops("loaded twice")) });
    assert_eq!(*again.await.unwrap(), 7);
    let failed = one.get_with_lock(&2, |_| async { Err(Oops("down")) });
    failed.await.unwrap_err();
    assert!(!is_taken(&other, 2).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_threads_one_at_a_time_holds_it() {
    let runtime = Arc::new(TokioRuntime::current());
    let locks = Locks::open("app:users", Embedded::new(runtime)).unwrap();
    let inside = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (locks, inside) = (locks.clone(), inside.clone());
        tasks.spawn(async move {
            let guard = locks.lock(&1_u64, "30s").wait("30s").acquire();
            let guard = guard.await.unwrap();
            let order = std::sync::atomic::Ordering::SeqCst;
            assert_eq!(inside.fetch_add(1, order), 0);
            tokio::task::yield_now().await;
            assert_eq!(inside.fetch_sub(1, order), 1);
            guard.release().await.unwrap();
        });
    }
    while let Some(done) = in_time(tasks.join_next()).await {
        done.unwrap();
    }
    let stats = locks.stats();
    assert_eq!((stats.acquired, stats.released, stats.lost), (50, 50, 0));
}

#[tokio::test]
async fn locks_of_one_name_are_the_same_with_and_without_a_cache() {
    let store: Arc<dyn Store> = Arc::new(Embedded::new(Arc::new(TokioRuntime::current())));
    let builder = Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("1MiB"));
    let users: Users = builder.remote(store.clone()).build().await.unwrap();
    let locks = Locks::open("app:users", store.clone()).unwrap();
    let others = Locks::open("app:orders", store).unwrap();
    let _guard = locks.try_lock(&1_u64, TTL).await.unwrap().unwrap();
    assert!(is_taken(&users, 1).await);
    assert!(others.try_lock(&1_u64, TTL).await.unwrap().is_some());
}
