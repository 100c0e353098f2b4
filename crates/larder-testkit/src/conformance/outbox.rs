//! What every [`Outbox`] must do, whatever keeps its notices: claims over an [`OutboxSubject`].

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use larder_core::outbox::{Claim, Notice, Notices, Outbox, What};
use larder_core::runtime::BoxFuture;

/// A hold that does not end during a test.
const LONG: Duration = Duration::from_secs(600);
/// A hold that is over soon.
const SHORT: Duration = Duration::from_millis(200);
/// Far more than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

/// The caches whose notices claims ask for.
const ROWS: &str = "app:rows";
const PAGES: &str = "app:pages";

/// An empty outbox, and what its source does with it.
pub trait OutboxSubject: Send + Sync {
    /// Another handle on it, as another process has one: nothing but the notices is shared.
    fn open(&self) -> BoxFuture<'_, Arc<dyn Outbox>>;

    /// Records notices in a transaction that is committed.
    fn record<'a>(&'a self, notices: &'a Notices) -> BoxFuture<'a, ()>;

    /// Records notices in a transaction that is rolled back.
    fn roll_back<'a>(&'a self, notices: &'a Notices) -> BoxFuture<'a, ()>;

    /// Writes a notice past everything that checks it: another version, a trigger, a mistake.
    fn write<'a>(&'a self, cache: &'a str, kind: &'a str, body: &'a [u8]) -> BoxFuture<'a, ()>;
}

fn asking(caches: &'static [&'static str], limit: usize, hold: Duration) -> Claim<'static> {
    Claim {
        caches,
        except: &[],
        limit,
        hold,
    }
}

async fn claim(outbox: &dyn Outbox, limit: usize, hold: Duration) -> Vec<Notice> {
    let claimed = outbox.claim(asking(&[ROWS], limit, hold)).await;
    claimed.expect("the outbox can be read")
}

fn ids(notices: &[Notice]) -> Vec<u64> {
    notices.iter().map(|notice| notice.id).collect()
}

fn keys(notices: &[Notice]) -> Vec<String> {
    let key = |notice: &Notice| match &notice.what {
        Ok(What::Key(key)) => String::from_utf8_lossy(key).into_owned(),
        other => panic!("a key was expected, and found: {other:?}"),
    };
    notices.iter().map(key).collect()
}

fn rows(numbers: impl IntoIterator<Item = u64>) -> Notices {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    Notices::of(ROWS).keys(&numbers)
}

fn texts(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|number| number.to_string())
        .collect()
}

/// A notice is there if its transaction was committed, and only then.
pub async fn what_was_committed_is_there_and_nothing_else(subject: &dyn OutboxSubject) {
    subject.roll_back(&rows([1])).await;
    subject.record(&rows([2])).await;
    let outbox = subject.open().await;
    assert_eq!(keys(&claim(&*outbox, 10, LONG).await), ["2"]);
}

/// The oldest notices of a cache come first, across transactions.
pub async fn the_oldest_come_first(subject: &dyn OutboxSubject) {
    for number in 0..5 {
        subject.record(&rows([2 * number, 2 * number + 1])).await;
    }
    let outbox = subject.open().await;
    let mut found = Vec::new();
    for _ in 0..4 {
        found.extend(claim(&*outbox, 3, LONG).await);
    }
    assert_eq!(keys(&found), texts(0..10));
    assert!(found.is_sorted_by(|one, next| one.id < next.id));
}

/// Every kind comes back as it was.
pub async fn every_kind_comes_back(subject: &dyn OutboxSubject) {
    let notices = Notices::of(ROWS)
        .key(&("a:b", 2u8))
        .tag("tenant: ü")
        .prefix("a:")
        .pattern("a:*:b")
        .dependents(&1u64)
        .clear();
    subject.record(&notices).await;
    let outbox = subject.open().await;
    let found = claim(&*outbox, 10, LONG).await;
    let found: Vec<What> = found.into_iter().filter_map(|it| it.what.ok()).collect();
    let expected = notices.check().expect("nothing is wrong with them");
    let expected: Vec<What> = expected.into_iter().map(|(_, what)| what.clone()).collect();
    assert_eq!(found, expected);
}

/// A claim gives no more than it was asked for, and the rest afterwards.
pub async fn a_claim_is_bounded(subject: &dyn OutboxSubject) {
    subject.record(&rows(0..50)).await;
    let outbox = subject.open().await;
    assert_eq!(claim(&*outbox, 20, LONG).await.len(), 20);
    assert_eq!(claim(&*outbox, 20, LONG).await.len(), 20);
    assert_eq!(claim(&*outbox, 20, LONG).await.len(), 10);
    assert!(claim(&*outbox, 20, LONG).await.is_empty());
}

/// Notices of other caches, and those that are excepted, are not given.
pub async fn only_what_is_wanted_is_given(subject: &dyn OutboxSubject) {
    subject.record(&rows([1, 2]).and(PAGES).clear()).await;
    let outbox = subject.open().await;
    let first = claim(&*outbox, 1, Duration::ZERO).await;
    let except = ids(&first);
    let other = Claim {
        except: &except,
        ..asking(&[ROWS], 10, LONG)
    };
    let other = outbox.claim(other).await.expect("the outbox can be read");
    assert_eq!((keys(&first), keys(&other)), (texts([1]), texts([2])));
    let pages = outbox.claim(asking(&[PAGES], 10, LONG)).await;
    let pages = pages.expect("the outbox can be read");
    assert!(pages.len() == 1 && pages[0].cache == PAGES);
}

/// Two who follow it at once are never given the same notice while it is held, and all of them
/// together.
pub async fn two_tails_share_the_work(subject: &dyn OutboxSubject) {
    subject.record(&rows(0..200)).await;
    let (one, other) = (subject.open().await, subject.open().await);
    let tail = |outbox: Arc<dyn Outbox>| async move {
        let mut found = Vec::new();
        loop {
            let taken = claim(&*outbox, 7, LONG).await;
            if taken.is_empty() {
                return found;
            }
            found.extend(taken);
        }
    };
    let (one, other) = tokio::join!(tail(one), tail(other));
    let all = [ids(&one), ids(&other)].concat();
    let different: BTreeSet<u64> = all.iter().copied().collect();
    // A claim may find the outbox busy, and then gives without holding: at least once, not less.
    assert_eq!(different.len(), 200);
}

/// Whoever takes notices and dies does not keep them.
pub async fn a_hold_ends_by_itself(subject: &dyn OutboxSubject) {
    subject.record(&rows([1])).await;
    let outbox = subject.open().await;
    assert_eq!(claim(&*outbox, 10, SHORT).await.len(), 1);
    let other = subject.open().await;
    let found = async {
        while claim(&*other, 10, LONG).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, found).await;
    ended.expect("the hold ends");
}

/// What is held is not given; what is given back is, at once.
pub async fn what_is_held_is_not_given_until_it_is_given_back(subject: &dyn OutboxSubject) {
    subject.record(&rows([1])).await;
    let (one, other) = (subject.open().await, subject.open().await);
    let taken = ids(&claim(&*one, 10, LONG).await);
    assert!(claim(&*other, 10, LONG).await.is_empty());
    let given_back = one.postpone(&taken, Duration::ZERO).await;
    given_back.expect("the outbox can be written");
    assert_eq!(ids(&claim(&*other, 10, LONG).await), taken);
    let held = other.postpone(&taken, LONG).await;
    held.expect("the outbox can be written");
    assert!(claim(&*one, 10, LONG).await.is_empty());
}

/// What is done is gone; doing it again, or late, touches nothing that is new.
pub async fn what_is_done_is_gone_for_good(subject: &dyn OutboxSubject) {
    subject.record(&rows([1])).await;
    let outbox = subject.open().await;
    let first = ids(&claim(&*outbox, 10, Duration::ZERO).await);
    outbox
        .done(&first)
        .await
        .expect("the outbox can be written");
    assert!(claim(&*outbox, 10, Duration::ZERO).await.is_empty());
    subject.record(&rows([1])).await;
    outbox.done(&first).await.expect("what is gone is no error");
    let second = ids(&claim(&*outbox, 10, Duration::ZERO).await);
    assert!(second.len() == 1 && second[0] > first[0]);
}

/// What nobody has done is there when everybody was started anew.
pub async fn what_was_not_done_survives_a_restart(subject: &dyn OutboxSubject) {
    subject.record(&rows(0..10)).await;
    let outbox = subject.open().await;
    let taken = ids(&claim(&*outbox, 4, Duration::ZERO).await);
    let done = outbox.done(&taken).await;
    done.expect("the outbox can be written");
    drop(outbox);
    let anew = subject.open().await;
    assert_eq!(keys(&claim(&*anew, 20, LONG).await), texts(4..10));
}

/// A notice that cannot be read says why, stays, and is in nobody's way.
pub async fn a_bad_notice_is_reported_and_stays(subject: &dyn OutboxSubject) {
    subject.write(ROWS, "tag", b"").await;
    subject.record(&rows([1])).await;
    let outbox = subject.open().await;
    let found = claim(&*outbox, 10, Duration::ZERO).await;
    assert_eq!(found.len(), 2);
    let problem = found[0].what.clone().expect_err("a tag has text");
    assert!(problem.contains("tag"), "{problem}");
    assert_eq!(keys(&found[1..]), ["1"]);
    assert_eq!(claim(&*outbox, 10, LONG).await.len(), 2);
}

/// Kinds of later versions stay where they are, and are told of.
pub async fn later_kinds_stay_and_are_counted(subject: &dyn OutboxSubject) {
    subject.write(ROWS, "region", b"1").await;
    subject.record(&rows([1, 2])).await;
    let outbox = subject.open().await;
    assert_eq!(keys(&claim(&*outbox, 10, LONG).await), ["1", "2"]);
    let backlog = outbox.backlog().await.expect("the outbox can be read");
    let count = |kind: &str| {
        let group = backlog.iter().find(|group| group.kind == kind);
        group.map(|group| (group.cache.clone(), group.count))
    };
    assert_eq!(count("region"), Some((ROWS.to_owned(), 1)));
    assert_eq!(count("key"), Some((ROWS.to_owned(), 2)));
}

/// A claim, deletion or postponement that is dropped at any of its waits loses nothing, and leaves
/// an outbox that works.
pub async fn what_is_dropped_half_way_loses_nothing(subject: &dyn OutboxSubject) {
    subject.record(&rows(0..20)).await;
    let outbox = subject.open().await;
    for polls in 1..12 {
        cut(polls, outbox.claim(asking(&[ROWS], 3, Duration::ZERO))).await;
        cut(polls, outbox.postpone(&[u64::MAX], LONG)).await;
        cut(polls, outbox.done(&[u64::MAX])).await;
        cut(polls, outbox.backlog()).await;
    }
    let other = subject.open().await;
    assert_eq!(
        keys(&claim(&*other, 100, Duration::ZERO).await),
        texts(0..20)
    );
    assert_eq!(keys(&claim(&*outbox, 100, LONG).await), texts(0..20));
}

/// Looks at a future so many times, as it says that it is worth it, and drops it.
async fn cut<T>(polls: usize, work: impl Future<Output = T>) {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        let is_done = work.as_mut().poll(context).is_ready();
        if is_done || left == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Bytes that are no text are a key like any other.
pub async fn keys_are_exact_bytes(subject: &dyn OutboxSubject) {
    let body = b"a%20b\0\xff";
    subject.write(ROWS, "key", body).await;
    let outbox = subject.open().await;
    let found = claim(&*outbox, 10, LONG).await;
    assert_eq!(found[0].what, Ok(What::Key(Bytes::from_static(body))));
}

/// Makes a test of each claim, over what `$make` gives.
#[macro_export]
macro_rules! conformance_outbox {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            $crate::conformance_outbox!(@tests $make;
                what_was_committed_is_there_and_nothing_else,
                the_oldest_come_first,
                every_kind_comes_back,
                a_claim_is_bounded,
                only_what_is_wanted_is_given,
                two_tails_share_the_work,
                a_hold_ends_by_itself,
                what_is_held_is_not_given_until_it_is_given_back,
                what_is_done_is_gone_for_good,
                what_was_not_done_survives_a_restart,
                a_bad_notice_is_reported_and_stays,
                later_kinds_stay_and_are_counted,
                what_is_dropped_half_way_loses_nothing,
                keys_are_exact_bytes
            );
        }
    };
    (@tests $make:expr; $($claim:ident),+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $claim() {
            let subject = ($make)().await;
            $crate::conformance::outbox::$claim(&subject).await;
        })+
    };
}
