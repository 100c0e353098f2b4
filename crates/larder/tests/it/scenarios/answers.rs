//! What a loader says of its value: that it is the same, how long it lives, that it is not to be kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, Cx, Near, Refresh, Source};
use larder_testkit::servers::RedisServer;
use parking_lot::Mutex;

use super::{Place, fail, following, holds, load, read, scenes, until};
use crate::support::{Oops, in_time};

const OLD: u64 = 1;
const NEW: u64 = 2;

/// Over a moment after a value was stored.
const SOON: Duration = Duration::from_millis(30);

/// What a page holds: more than all else that is sent in a test.
const BODY: usize = 512 * 1024;

/// A page with what its source tells its versions apart by.
type Page = (u64, String);

/// A source of one page, which sends it only to those who do not have it.
#[derive(Default)]
struct Site {
    etag: Mutex<u64>,
    asked: AtomicU64,
    sent: AtomicU64,
}

impl Site {
    fn ask(&self, known: Option<u64>) -> Option<Page> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let etag = *self.etag.lock();
        if known == Some(etag) {
            return None;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Some((etag, "x".repeat(BODY)))
    }

    fn counts(&self) -> (u64, u64) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (get(&self.asked), get(&self.sent))
    }
}

/// Reads the page; what it is told apart by.
async fn visit(cache: &Cache<u64, Page>, site: &Arc<Site>) -> u64 {
    let site = site.clone();
    let load = move |cx: Cx<u64, Page>| async move {
        match site.ask(cx.previous().map(|page| page.0)) {
            Some(page) => Ok::<_, Oops>(page),
            None => cx.not_modified().await,
        }
    };
    let page = in_time(cache.get_or_load(&1, load)).await.unwrap();
    assert_eq!(page.1.len(), BODY);
    page.0
}

/// How many bytes a server was sent.
fn sent_to(server: &RedisServer) -> usize {
    let stats = server.cli(&["INFO", "stats"]);
    let mut lines = stats.lines();
    let bytes = lines.find_map(|line| line.strip_prefix("total_net_input_bytes:"));
    bytes.and_then(|bytes| bytes.trim().parse().ok()).unwrap()
}

#[tokio::test]
async fn f17_a_refresh_that_finds_nothing_new_transfers_nothing() {
    for scene in scenes() {
        let builder = || scene.named::<Page>("app:pages").ttl(SOON);
        let node = builder().near(Near::bytes("16MiB")).build().await.unwrap();
        let other = builder().build().await.unwrap();
        let site = Arc::<Site>::default();
        assert_eq!(visit(&node, &site).await, 0);
        let sent = || match &scene.place {
            Place::Redis(server) => sent_to(server),
            Place::Embedded(_) => 0,
        };
        let before = sent();
        for (node, asked) in [(&node, 2), (&other, 3), (&node, 4)] {
            until(async || {
                assert_eq!(visit(node, &site).await, 0);
                site.counts().0 >= asked
            })
            .await;
        }
        assert_eq!(site.counts().1, 1, "{}", scene.name);
        let confirmed = node.stats().loads.confirmed + other.stats().loads.confirmed;
        assert!(confirmed >= 3, "{}", scene.name);
        let more = sent() - before;
        assert!(more < BODY, "{more} bytes for {confirmed} answers");
        // And what is new takes its place.
        *site.etag.lock() = 7;
        until(async || visit(&node, &site).await == 7).await;
        assert_eq!(site.counts().1, 2, "{}", scene.name);
        until(async || visit(&other, &site).await == 7).await;
        assert_eq!(site.counts().1, 2, "{}", scene.name);
    }
}

#[tokio::test]
async fn f18_both_tiers_obey_the_life_that_a_loader_gives_its_value() {
    for scene in scenes() {
        let node = following(scene.bare()).await;
        let looking = scene.looking().await;
        let by_value = |value: u64| {
            move |cx: Cx<u64, u64>| async move {
                let ttl = if value == OLD { SOON } else { SOON * 10_000 };
                cx.ttl(ttl);
                cx.stale_for(Duration::ZERO);
                Ok::<_, Oops>(value)
            }
        };
        node.get_or_load(&1, by_value(OLD)).await.unwrap();
        node.get_or_load(&2, by_value(NEW)).await.unwrap();
        for cache in [&node, &looking] {
            until(async || read(cache, 1).await.is_none()).await;
            assert_eq!(fail(cache, 1).await, None, "{}", scene.name);
            assert_eq!(read(cache, 2).await, Some(NEW), "{}", scene.name);
        }
        holds(&node, 2, NEW).await;
        if let Place::Redis(server) = &scene.place {
            let left: i64 = server.cli(&["TTL", "app:users:2"]).parse().unwrap();
            assert!((1..=300).contains(&left), "{left}");
        }
        // The settings of the cache are what they were.
        load(&node, 3, NEW).await;
        let left = looking.get(&3).await.unwrap().unwrap();
        assert_eq!(*left, NEW, "{}", scene.name);
    }
}

#[tokio::test]
async fn f19_a_value_that_is_not_to_be_stored_is_given_and_leaves_the_old_one() {
    for scene in scenes() {
        let node = following(scene.bare()).await;
        let looking = scene.looking().await;
        let skip = |cx: Cx<u64, u64>| async move {
            cx.skip();
            Ok::<_, Oops>(NEW)
        };
        // Where there is nothing, nothing is stored.
        assert_eq!(*node.get_or_load(&1, skip).await.unwrap(), NEW);
        assert_eq!(read(&looking, 1).await, None, "{}", scene.name);
        // What is stale is not given in its place, and is there when a load fails.
        load(&node, 1, OLD).await;
        let _ = node.expire(&1).await.unwrap();
        let given = node.get_or_load(&1, skip).await.unwrap();
        let given = (*given, given.is_stale(), given.source());
        assert_eq!(given, (NEW, false, Source::Loaded), "{}", scene.name);
        for cache in [&node, &looking] {
            assert_eq!(read(cache, 1).await, None, "{}", scene.name);
            assert_eq!(fail(cache, 1).await, Some((OLD, true)), "{}", scene.name);
        }
        // Behind a value that is served, it changes nothing.
        let node = following(scene.bare().refresh(Refresh::after(SOON))).await;
        load(&node, 2, OLD).await;
        until(async || {
            assert_eq!(*node.get_or_load(&2, skip).await.unwrap(), OLD);
            node.stats().refreshes.refused > 0
        })
        .await;
        for cache in [&node, &looking] {
            assert_eq!(read(cache, 2).await, Some(OLD), "{}", scene.name);
        }
    }
}
