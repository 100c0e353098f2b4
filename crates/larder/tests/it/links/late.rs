//! Loads that end after another process has changed what they have read: for every kind of change,
//! the old value never comes back.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::core::Runtime;
use larder::{Cx, InsertOptions, Receipt, Refresh, Refusal, TokioRuntime};
use larder_testkit::servers::RedisServer;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::support::{Oops, Users, address, in_time, or_from_env, redis_at, server, spawn_load};

/// Time limits are not the subject, and a thousand loads at once take their time.
const PATIENT: Duration = Duration::from_secs(20);

const OLD: u64 = 1;
const NEW: u64 = 2;
const INSERTED: u64 = 3;

/// How the other process changes what is being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Key,
    Tag,
    Clear,
    Expire,
    Insert,
    TaggedInsert,
    Prefix,
    Pattern,
    /// Another key is changed, which the loader has read.
    Dependency,
    /// What depends on that key is told to go.
    Dependents,
    /// The key, and the load is a refresh behind a value that is still served.
    Refresh,
    /// The same with the tag.
    RefreshedTag,
}

const KINDS: [Kind; 12] = [
    Kind::Key,
    Kind::Tag,
    Kind::Clear,
    Kind::Expire,
    Kind::Insert,
    Kind::TaggedInsert,
    Kind::Prefix,
    Kind::Pattern,
    Kind::Dependency,
    Kind::Dependents,
    Kind::Refresh,
    Kind::RefreshedTag,
];

impl Kind {
    fn is_refresh(self) -> bool {
        matches!(self, Kind::Refresh | Kind::RefreshedTag)
    }
}

/// A value that is this old is refreshed by its next reader.
const POINT: Duration = Duration::from_millis(5);

fn tag(key: u64) -> String {
    format!("tag {key}")
}

/// The key that the loader of another one reads.
fn inner(key: u64) -> u64 {
    key + 1_000_000
}

/// What every loader does before it waits.
async fn read(kind: Kind, cache: &Users, cx: &Cx<u64, u64>) {
    cx.tag(tag(*cx.key()));
    if matches!(kind, Kind::Dependency | Kind::Dependents) {
        cache.get(&inner(*cx.key())).await.unwrap();
    }
}

async fn change(kind: Kind, cache: &Users, key: u64) {
    match kind {
        Kind::Key => drop(cache.invalidate(&key).await.unwrap()),
        Kind::Tag => drop(cache.invalidate_tag(tag(key)).await.unwrap()),
        // The value that is refreshed is a near copy, which its node may use until it hears of this.
        Kind::Refresh => hear(cache.invalidate(&key).await.unwrap()).await,
        Kind::RefreshedTag => hear(cache.invalidate_tag(tag(key)).await.unwrap()).await,
        Kind::Clear => drop(cache.clear().await.unwrap()),
        Kind::Expire => drop(cache.expire(&key).await.unwrap()),
        Kind::Insert => drop(cache.insert(&key, INSERTED).await.unwrap()),
        Kind::TaggedInsert => {
            let tagged = InsertOptions::new().tag(tag(key));
            let _ = cache.insert_with(&key, INSERTED, tagged).await.unwrap();
        }
        Kind::Prefix => drop(cache.invalidate_prefix(&key.to_string()).await.unwrap()),
        Kind::Pattern => drop(cache.invalidate_pattern(&key.to_string()).await.unwrap()),
        Kind::Dependency => drop(cache.invalidate(&inner(key)).await.unwrap()),
        Kind::Dependents => drop(cache.invalidate_dependents(&inner(key)).await.unwrap()),
    }
}

/// Waits until all nodes have heard of a change.
async fn hear(receipt: Receipt) {
    let heard = receipt.wait_all(PATIENT).await.unwrap();
    assert!(heard.complete, "{heard:?}");
}

/// Two processes with near caches, and one without that sees what the server has.
struct Processes {
    loading: Users,
    changing: Users,
    looking: Users,
    /// Loads that were refused although they were not late.
    by_chance: AtomicU64,
}

impl Processes {
    /// Values of the process that loads are refreshed if `refresh` is set.
    async fn new(server: &RedisServer, name: &str, refresh: bool) -> Processes {
        let redis = || {
            let redis = redis_at(address(server)).response_timeout(PATIENT);
            redis.connect_timeout(PATIENT)
        };
        let builder = || larder::Cache::builder(name).ttl("1h").stale_for("1h");
        let near = || larder::Near::bytes("1MiB");
        let mut loading = builder().near(near()).remote(redis());
        if refresh {
            // As many at once as a test has loads.
            loading = loading.refresh(Refresh::after(POINT).limit(usize::MAX));
        }
        Processes {
            loading: loading.build().await.unwrap(),
            changing: builder()
                .near(near())
                .remote(redis())
                .build()
                .await
                .unwrap(),
            looking: builder().remote(redis()).build().await.unwrap(),
            by_chance: AtomicU64::new(0),
        }
    }

    /// What everybody finds once the late load has ended.
    async fn find_nothing_old(&self, kind: Kind, key: u64) {
        let inserted = matches!(kind, Kind::Insert | Kind::TaggedInsert);
        let expected = inserted.then_some(INSERTED);
        for cache in [&self.loading, &self.changing, &self.looking] {
            let found = cache.get(&key).await.unwrap().map(|found| *found);
            assert_eq!(found, expected, "{kind:?} of {key}");
        }
        let load = |_| async { Ok::<_, Oops>(NEW) };
        let found = *self.loading.get_or_load(&key, load).await.unwrap();
        assert_eq!(found, expected.unwrap_or(NEW), "{kind:?} of {key}");
        let found = self.changing.get(&key).await.unwrap().unwrap();
        assert_eq!(*found, expected.unwrap_or(NEW), "{kind:?} of {key}");
    }

    /// Loads values that the next reader will refresh.
    async fn hold_old(&self, keys: &[u64]) {
        for key in keys {
            let load = |cx: Cx<u64, _>| async move {
                cx.tag(tag(*cx.key()));
                Ok::<_, Oops>(OLD)
            };
            // A tag that nobody knows has the number of the last one that was invalidated: others
            // do that all the time.
            let refused = self.refused();
            while self.loading.get(key).await.unwrap().is_none() {
                let _ = self.loading.get_or_load(key, load).await.unwrap();
            }
            let by_chance = self.refused() - refused;
            self.by_chance.fetch_add(by_chance, Ordering::Relaxed);
        }
        // As long as it takes them to grow old, by a clock of some milliseconds' steps.
        let runtime = TokioRuntime::current();
        runtime.sleep(POINT + Duration::from_millis(15)).await;
    }

    /// Waits until no refresh is under way.
    async fn refreshed(&self) {
        let refreshes = || self.loading.stats().refreshes;
        in_time(async {
            while refreshes().under_way > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// How many loads were refused because something had changed meanwhile.
    fn refused(&self) -> u64 {
        let refused = self.loading.stats().refused.into_iter();
        let raced = |reason: &Refusal| {
            matches!(
                reason,
                Refusal::LeaseRevoked
                    | Refusal::LeaseLost
                    | Refusal::TagRaced
                    | Refusal::DependencyRaced
            )
        };
        let refused = refused.filter(|(reason, _)| raced(reason));
        let refused: u64 = refused.map(|(_, count)| count).sum();
        refused - self.by_chance.load(Ordering::Relaxed)
    }
}

/// One load that is overtaken: it has begun, the change is acknowledged, it ends.
async fn round(processes: &Processes, kind: Kind, key: u64) {
    let (begin, begun) = oneshot::channel();
    let (go_on, wait) = oneshot::channel::<()>();
    if kind.is_refresh() {
        processes.hold_old(&[key]).await;
    }
    let _ = processes.changing.insert(&inner(key), NEW).await.unwrap();
    let cache = processes.loading.clone();
    let call = spawn_load(&processes.loading, key, move |cx: Cx<u64, _>| async move {
        read(kind, &cache, &cx).await;
        let _ = begin.send(());
        let _ = wait.await;
        Ok(OLD)
    });
    in_time(begun).await.unwrap();
    change(kind, &processes.changing, key).await;
    go_on.send(()).unwrap();
    let loaded = in_time(call).await.unwrap().unwrap();
    assert_eq!(*loaded, OLD, "who asked before gets what was true then");
    processes.refreshed().await;
    processes.find_nothing_old(kind, key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_overtaken_by_another_process_never_brings_the_old_value_back() {
    let Some(server) = server() else { return };
    let processes = Processes::new(&server, "app:users", false).await;
    let refreshing = Processes::new(&server, "app:pages", true).await;
    let rounds = 1_000;
    for at in 0..rounds {
        let kind = KINDS[at as usize % KINDS.len()];
        let by = if kind.is_refresh() {
            &refreshing
        } else {
            &processes
        };
        round(by, kind, at).await;
    }
    assert_eq!(processes.refused() + refreshing.refused(), rounds);
}

/// Loads of a kind that are under way at once.
const AT_ONCE: u64 = 25;

/// Loads that take two seconds, many at once. With `LARDER_LATE_LOADS=1000` that many of each kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_of_two_seconds_never_bring_the_old_value_back() {
    let Some(server) = server() else { return };
    let loads = or_from_env("LARDER_LATE_LOADS", 20);
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::current());
    let mut kinds = JoinSet::new();
    for kind in KINDS {
        // A clear is one for all loads of a cache: so more caches.
        let caches = if kind == Kind::Clear {
            loads.div_ceil(AT_ONCE)
        } else {
            1
        };
        for cache in 0..caches {
            let processes =
                Processes::new(&server, &format!("app:{kind:?}{cache}"), kind.is_refresh()).await;
            let runtime = runtime.clone();
            kinds.spawn(async move {
                for begin in (0..loads / caches).step_by(AT_ONCE as usize) {
                    let end = (begin + AT_ONCE).min(loads / caches);
                    wave(&processes, kind, begin..end, &runtime).await;
                }
                (kind, processes.refused())
            });
        }
    }
    let done = kinds.join_all().await;
    for kind in KINDS {
        let refused = done.iter().filter(|(of, _)| *of == kind);
        let refused: u64 = refused.map(|(_, refused)| refused).sum();
        println!("{kind:?}: {refused} late loads refused");
        assert_eq!(refused, loads, "{kind:?}");
    }
}

/// So many loads at once, each of which sleeps while its key is changed.
async fn wave(processes: &Processes, kind: Kind, keys: Range<u64>, runtime: &Arc<dyn Runtime>) {
    let mut calls = Vec::new();
    let (mut begun, mut changed) = (Vec::new(), Vec::new());
    let inner = keys.clone().map(|key| (inner(key), NEW));
    let _ = processes.changing.insert_many(inner).await.unwrap();
    if kind.is_refresh() {
        processes.hold_old(&keys.clone().collect::<Vec<_>>()).await;
    }
    for key in keys.clone() {
        let (begin, has_begun) = oneshot::channel();
        let (go_on, wait) = oneshot::channel::<()>();
        let runtime = runtime.clone();
        let cache = processes.loading.clone();
        let load = move |cx: Cx<u64, _>| async move {
            read(kind, &cache, &cx).await;
            let _ = begin.send(());
            runtime.sleep(Duration::from_secs(2)).await;
            // On a slow machine the changes of so many take longer.
            let _ = wait.await;
            Ok::<_, Oops>(OLD)
        };
        // Without a limit: a slow machine takes its time.
        let loading = processes.loading.clone();
        calls.push(tokio::spawn(async move {
            loading.get_or_load(&key, load).await
        }));
        begun.push(has_begun);
        changed.push(go_on);
    }
    for begun in begun {
        begun.await.unwrap();
    }
    if kind == Kind::Clear {
        change(kind, &processes.changing, 0).await;
    } else {
        for key in keys.clone() {
            change(kind, &processes.changing, key).await;
        }
    }
    drop(changed);
    for call in calls {
        assert_eq!(*call.await.unwrap().unwrap(), OLD);
    }
    processes.refreshed().await;
    for key in keys {
        processes.find_nothing_old(kind, key).await;
    }
}
