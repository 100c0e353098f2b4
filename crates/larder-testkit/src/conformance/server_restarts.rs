//! Stores over servers whose process is another one, with what a dump has kept: what the process
//! before it had confirmed since then is not known.

use larder_core::area::{Area, Areas, area_key};
use larder_core::bus::BusRecord;
use larder_core::lane::{Gap, Position};
use larder_core::store::{Batch, Fill, Write};

use super::areas::void;
use super::bus::{poll, reader};
use super::dependencies::{begin, fill};
use super::subject::{Subject, bytes, fine, put_long};
use super::tags::{bump, is_valid, tagged};

/// More than a store needs to find out that its connection is broken, and to open another one.
const TRIES: usize = 3_000;

/// Polls until the server answers again.
async fn poll_again(subject: &Subject) -> Position {
    until_answered(subject, async || subject.bus().poll(&reader(1)).await.ok()).await
}

/// Asks again and again until there is an answer.
pub(super) async fn until_answered<T>(subject: &Subject, ask: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(answer) = ask().await {
            return answer;
        }
        subject.pass(10).await;
        tokio::task::yield_now().await;
    }
    panic!("the server does not answer");
}

/// Starts another process, later than the last change of the one before it.
pub(super) async fn restart(subject: &Subject) {
    subject.pass(1).await;
    subject.hand().restart();
}

async fn replay(subject: &Subject, last: u64) -> (u64, Vec<BusRecord>) {
    let replay = fine(subject.bus().replay(Gap { first: 1, last }).await);
    (replay.oldest, replay.records)
}

/// Otherwise its next records would have the numbers of those that were lost, and be dropped as known.
pub async fn an_old_dump_begins_another_life_of_the_log(subject: &Subject) {
    poll(subject).await;
    subject.put("k", "v").await;
    let kept = poll(subject).await;
    subject.hand().save();
    subject.put("k", "lost").await;
    assert_eq!(poll(subject).await.seq, 2);
    restart(subject).await;
    let after = poll_again(subject).await;
    assert_eq!(after.seq, kept.seq, "it is the dump");
    assert_ne!(after.incarnation, kept.incarnation);
    assert_eq!(poll(subject).await, after, "once is enough");
    subject.put("k", "w").await;
    let (oldest, records) = replay(subject, 2).await;
    assert_eq!((oldest, records.len()), (2, 1), "nothing of the old life");
    assert_eq!(records[0].position, Position { seq: 2, ..after });
}

/// The change of a writer that does not follow the log comes first. It would have the number of one
/// that was lost, in a life that readers take for the one they know.
pub async fn a_change_is_of_the_new_life_though_nobody_has_polled(subject: &Subject) {
    let before = poll(subject).await;
    subject.hand().save();
    subject.put("k", "lost").await;
    restart(subject).await;
    until_answered(subject, async || {
        let put = Batch::one(bytes("k"), put_long("v"));
        subject.store.commit(put).await.ok()
    })
    .await;
    let old = before.incarnation;
    let looks = format!("assert(redis.call('HGET', shard, 'inc') ~= '{old}', 'the old life')");
    subject.meddle(b"", &looks);
}

/// The process before it may have removed it, and nobody knows.
pub async fn what_an_old_dump_holds_is_void(subject: &Subject) {
    poll(subject).await;
    // Areas that are known, and none.
    void(subject, "c", Area::prefix(b"other").expect("it is short")).await;
    subject.put("k", "v").await;
    subject.hand().save();
    subject.remove("k").await;
    restart(subject).await;
    poll_again(subject).await;
    let record = subject.record("k").await;
    for cache in ["c", "d"] {
        let areas = areas(subject, cache).await;
        assert!(areas.cover(b"k", record.cut), "{cache}: {areas:?}");
    }
    subject.put("k", "new").await;
    let record = subject.record("k").await;
    assert!(!areas(subject, "c").await.cover(b"k", record.cut));
}

async fn areas(subject: &Subject, cache: &str) -> Areas {
    let cache = area_key(cache);
    fine(subject.tags().get_within(&[], &cache).await).1
}

/// The lease stands as it did when the dump was made. The change that revoked it is lost.
pub async fn a_lease_of_an_old_dump_fills_nothing(subject: &Subject) {
    poll(subject).await;
    let cut = begin(subject).await;
    subject.hand().save();
    subject.remove("outer").await;
    restart(subject).await;
    poll_again(subject).await;
    assert_eq!(fill(subject, cut, Vec::new()).await, Fill::Lost);
    subject.assert_absent("outer").await;
}

/// A number that was lost is not given a second time, nor is a version.
pub async fn numbers_of_a_lost_process_are_not_repeated(subject: &Subject) {
    poll(subject).await;
    bump(subject, "t").await;
    subject.hand().save();
    let version = subject.put("k", "lost").await.version;
    let bumped = bump(subject, "t").await;
    restart(subject).await;
    poll_again(subject).await;
    assert!(subject.put("k", "v").await.version > version);
    assert!(bump(subject, "t").await > bumped);
    subject.write("k", Write::Put(tagged("v", &["t"]))).await;
    assert!(is_valid(subject, &subject.record("k").await).await);
}

/// A process that comes back with nothing has no log, and what it had given is beyond its memory.
pub async fn an_empty_server_begins_another_life_of_the_log(subject: &Subject) {
    poll(subject).await;
    let before = subject.write("k", put_long("v")).await.version;
    let kept = poll(subject).await;
    restart(subject).await;
    let after = poll_again(subject).await;
    assert_eq!(after.seq, 0);
    assert_ne!(after.incarnation, kept.incarnation);
    let key = [bytes("k")];
    let found = fine(subject.store.get_many(&key).await);
    assert!(found.into_iter().all(|found| found.into_record().is_none()));
    assert!(subject.put("k", "v").await.version > before);
}
