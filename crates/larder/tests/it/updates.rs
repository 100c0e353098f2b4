//! Values that travel on the bus and come late, twice, or in another order.

use std::sync::Arc;
use std::time::Duration;

use larder::core::bus::BusRecord;
use larder::core::mutant::Mutant;
use larder::embedded::Embedded;
use larder::{Cache, Mode, Near, Source};

use crate::support::{Clock, Collected, HandFed, Users, found, needs_alone, settle};

/// A writer, and a reader that is told of the writer's changes by hand.
struct Pair {
    clock: Arc<Clock>,
    pushed: Collected,
    fed: Arc<HandFed>,
    writer: Users,
    reader: Users,
}

impl Pair {
    async fn new() -> Pair {
        let clock = Arc::new(Clock::default());
        let store = Embedded::new(clock.clone());
        let fed = HandFed::new(store.clone());
        let cache = || {
            Cache::builder("app:users")
                .ttl("1h")
                .jitter_percent(0)
                .coherence(Mode::Update)
                .runtime(clock.clone())
        };
        let writer = cache().remote(store.clone()).build().await.unwrap();
        let remote: Arc<dyn larder::core::store::Store> = fed.clone();
        let reader = cache().near(Near::bytes("1MiB")).remote(remote);
        let reader = reader.build().await.unwrap();
        let mut pair = Pair {
            pushed: Collected::of(&store).await.unwrap(),
            clock,
            fed,
            writer,
            reader,
        };
        pair.polls(2).await;
        pair
    }

    /// Lets so many polls take place.
    async fn polls(&mut self, polls: u32) {
        for _ in 0..polls {
            self.clock.advance(Duration::from_millis(250)).await;
            self.clock.advance(Duration::from_millis(30)).await;
        }
    }

    async fn insert(&mut self, value: u64) -> BusRecord {
        self.writer.insert(&1, value).await.unwrap();
        self.pushed.next().await
    }

    async fn invalidate(&mut self) -> BusRecord {
        self.writer.invalidate(&1).await.unwrap();
        self.pushed.next().await
    }

    async fn push(&self, record: &BusRecord) {
        self.fed.push(record);
        settle().await;
    }

    async fn read(&self) -> Option<(u64, Source)> {
        found(self.reader.get(&1).await)
    }
}

#[tokio::test]
async fn a_pushed_value_is_a_near_copy_and_twice_is_once() {
    let mut pair = Pair::new().await;
    let record = pair.insert(10).await;
    for _ in 0..3 {
        pair.push(&record).await;
    }
    assert_eq!(pair.read().await, Some((10, Source::Near)));
    assert_eq!(pair.reader.stats().bus.updates, 1);
}

#[tokio::test]
async fn of_values_that_overtake_each_other_the_newest_stays() {
    let mut pair = Pair::new().await;
    let records = [
        pair.insert(10).await,
        pair.insert(11).await,
        pair.insert(12).await,
    ];
    for at in [2, 0, 1] {
        pair.push(&records[at]).await;
    }
    let read = pair.read().await.unwrap();
    assert_eq!(read.0, 12);
    pair.polls(2).await;
    assert_eq!(pair.read().await.unwrap().0, 12);
}

#[tokio::test]
async fn a_value_that_its_removal_has_overtaken_does_not_come_back() {
    let mut pair = Pair::new().await;
    let put = pair.insert(10).await;
    let removed = pair.invalidate().await;
    pair.push(&removed).await;
    pair.push(&put).await;
    assert_eq!(pair.read().await, None);
    pair.push(&put).await;
    pair.polls(2).await;
    assert_eq!(pair.read().await, None);
}

/// What the near cache knows of a removal it forgets after half a minute; that must not matter.
#[test]
fn however_late_a_value_comes_it_does_not_come_back() {
    needs_alone(Mutant::LateUpdate, a_value_comes_late);
}

async fn a_value_comes_late() {
    let mut pair = Pair::new().await;
    let put = pair.insert(10).await;
    let removed = pair.invalidate().await;
    // Nothing but what is pushed arrives for a long time, and that in the wrong order.
    pair.fed.silence(true);
    pair.push(&removed).await;
    pair.clock.advance(Duration::from_secs(60)).await;
    pair.push(&put).await;
    pair.fed.silence(false);
    pair.polls(4).await;
    assert_eq!(pair.read().await, None);
    assert_eq!(pair.reader.stats().bus.updates, 0);
    // The bus is back: what comes now is taken.
    let put = pair.insert(20).await;
    pair.push(&put).await;
    assert_eq!(pair.read().await, Some((20, Source::Near)));
}

#[tokio::test]
async fn a_value_that_comes_while_nobody_vouches_for_it_is_not_used() {
    let mut pair = Pair::new().await;
    pair.fed.silence(true);
    pair.clock.advance(Duration::from_secs(5)).await;
    let put = pair.insert(10).await;
    pair.push(&put).await;
    let removed = pair.invalidate().await;
    // The removal is not heard of; the copy is there, and fenced.
    assert_eq!(pair.read().await, None);
    pair.fed.silence(false);
    pair.polls(2).await;
    assert_eq!(pair.read().await, None);
    pair.push(&removed).await;
    assert_eq!(pair.read().await, None);
}

#[tokio::test]
async fn a_change_of_this_node_is_not_undone_by_an_older_value_from_another() {
    let mut pair = Pair::new().await;
    let put = pair.insert(10).await;
    pair.reader.insert(&1, 20).await.unwrap();
    let own = pair.pushed.next().await;
    pair.push(&put).await;
    assert_eq!(pair.read().await, Some((20, Source::Near)));
    pair.push(&own).await;
    assert_eq!(pair.read().await, Some((20, Source::Near)));
    let put = pair.insert(30).await;
    pair.reader.invalidate(&1).await.unwrap();
    pair.push(&put).await;
    assert_eq!(pair.read().await, None);
}

#[tokio::test]
async fn a_value_from_before_a_flush_is_not_kept() {
    let mut pair = Pair::new().await;
    let put = pair.insert(10).await;
    let mut other = put.clone();
    other.position.incarnation += 1;
    pair.push(&other).await;
    pair.push(&put).await;
    assert_eq!(pair.reader.stats().bus.updates, 0);
    pair.polls(2).await;
    assert_eq!(pair.read().await, Some((10, Source::Remote)));
}
