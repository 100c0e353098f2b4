//! Records that are pushed.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use larder_core::bus::{BusRecord, Pushed, Subscription};
use larder_core::lane::Position;

use super::bus::{log_since, poll};
use super::subject::{Subject, fine};

/// An end for what never comes; far more than anything here takes.
const SOON: Duration = Duration::from_secs(30);

pub(super) async fn subscribe(subject: &Subject) -> Box<dyn Subscription> {
    fine(subject.bus().subscribe().await)
}

/// The next message, or the end.
pub(super) async fn message(subscription: &mut dyn Subscription) -> Option<Pushed> {
    let next = tokio::time::timeout(SOON, subscription.next());
    next.await.expect("a message, or the end")
}

pub(super) async fn next(subscription: &mut dyn Subscription) -> Option<BusRecord> {
    match message(subscription).await? {
        Pushed::Record(record) => Some(record),
        Pushed::Nudge => panic!("nobody has asked for a poll"),
        Pushed::Free(_) => panic!("nobody waits for a lease"),
    }
}

async fn take(subscription: &mut dyn Subscription, count: usize) -> Vec<BusRecord> {
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(next(subscription).await.expect("nothing is lost"));
    }
    records
}

async fn write(subject: &Subject, records: usize) {
    for at in 0..records {
        subject.put(&format!("k{at}"), "v").await;
    }
}

/// Pushed records are those of the log, byte for byte.
pub async fn what_is_pushed_is_what_is_logged(subject: &Subject) {
    let first = poll(subject).await;
    let mut subscription = subscribe(subject).await;
    write(subject, 20).await;
    let pushed = take(&mut *subscription, 20).await;
    assert_eq!(pushed, log_since(subject, first).await);
}

/// Subscribers do not share records.
pub async fn every_subscriber_gets_every_record(subject: &Subject) {
    poll(subject).await;
    let mut one = subscribe(subject).await;
    let mut other = subscribe(subject).await;
    write(subject, 20).await;
    assert_eq!(take(&mut *one, 20).await, take(&mut *other, 20).await);
}

/// Nothing from before, everything after.
pub async fn a_subscription_begins_when_it_is_there(subject: &Subject) {
    poll(subject).await;
    write(subject, 3).await;
    let before = poll(subject).await;
    let mut subscription = subscribe(subject).await;
    write(subject, 1).await;
    let seq = before.seq + 1;
    let pushed = take(&mut *subscription, 1).await;
    assert_eq!(pushed[0].position, Position { seq, ..before });
}

/// Giving up waiting gives up nothing else.
pub async fn a_dropped_wait_loses_nothing(subject: &Subject) {
    let first = poll(subject).await;
    let mut subscription = subscribe(subject).await;
    for at in 0..20 {
        {
            let mut waiting = pin!(subscription.next());
            let polled = waiting
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending(), "nothing has happened");
        }
        write(subject, 1).await;
        let pushed = take(&mut *subscription, 1).await;
        assert_eq!(pushed[0].position.seq, first.seq + at + 1);
    }
}

/// Who does not read is given what there is without a gap, or is cut off.
pub async fn a_slow_reader_misses_nothing_unnoticed(subject: &Subject) {
    let first = poll(subject).await;
    let mut subscription = subscribe(subject).await;
    write(subject, 3_000).await;
    let all = log_since(subject, first).await;
    let mut pushed = Vec::new();
    while pushed.len() < all.len() {
        let Some(record) = next(&mut *subscription).await else {
            break;
        };
        pushed.push(record);
    }
    assert_eq!(pushed, all[..pushed.len()]);
    let mut again = subscribe(subject).await;
    write(subject, 1).await;
    assert_eq!(take(&mut *again, 1).await.len(), 1);
}

/// A subscription does not depend on others.
pub async fn subscribers_come_and_go(subject: &Subject) {
    let first = poll(subject).await;
    let mut stays = subscribe(subject).await;
    for _ in 0..5 {
        let goes = subscribe(subject).await;
        write(subject, 1).await;
        drop(goes);
        write(subject, 1).await;
    }
    let pushed = take(&mut *stays, 10).await;
    assert_eq!(pushed, log_since(subject, first).await);
}
