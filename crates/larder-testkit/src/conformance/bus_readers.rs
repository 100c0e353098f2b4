//! The list of those who read the log, and the word that they should say how far they are.

use larder_core::bus::{
    BusRecord, MAX_READERS, Pushed, READER_LIFE_MS, Reader, Readers, fenced_after,
};
use larder_core::lane::Position;

use super::bus::{poll, reader};
use super::bus_feed::{message, subscribe};
use super::subject::{Subject, fine};

async fn readers(subject: &Subject) -> Readers {
    fine(subject.bus().readers().await)
}

async fn enter(subject: &Subject, reader: &Reader) -> Position {
    fine(subject.bus().poll(reader).await)
}

/// The numbers of the nodes on the list, in order.
async fn listed(subject: &Subject) -> Vec<u32> {
    let seen = readers(subject).await.seen;
    let mut nodes: Vec<u32> = seen.iter().map(|reader| reader.node).collect();
    nodes.sort_unstable();
    nodes
}

/// Asking who reads does not begin a log.
pub async fn nobody_reads_before_the_first_poll(subject: &Subject) {
    let readers = readers(subject).await;
    assert_eq!((readers.log, readers.since), (None, None));
    assert_eq!(readers.seen, []);
}

/// Who polls is on the list, with what it says of itself.
pub async fn who_polls_is_listed(subject: &Subject) {
    let log = enter(subject, &reader(1)).await;
    let other = Reader {
        node: u32::MAX,
        name: "web 2 (ü)".into(),
        applied: Some(log),
        ..reader(2)
    };
    enter(subject, &other).await;
    let readers = readers(subject).await;
    assert_eq!(readers.log, Some(log));
    assert!(readers.since.is_some_and(|since| since <= readers.now));
    assert_eq!(readers.seen.len(), 2);
    let seen = |node| {
        let seen = readers.seen.iter().find(|seen| seen.node == node);
        seen.expect("the reader is listed")
    };
    assert_eq!((&*seen(1).name, seen(1).applied), ("node 1", None));
    let seen = seen(u32::MAX);
    assert_eq!((&*seen.name, &*seen.cache), ("web 2 (ü)", "app:users"));
    assert_eq!(seen.applied, Some(log));
    assert!(seen.polled <= readers.now);
}

/// The list says how far a reader was at its last poll.
pub async fn the_last_poll_counts(subject: &Subject) {
    let first = poll(subject).await;
    subject.put("k", "v").await;
    for seq in [0, 1] {
        let at = Position { seq, ..first };
        let applied = Some(at);
        enter(
            subject,
            &Reader {
                applied,
                ..reader(1)
            },
        )
        .await;
        let readers = readers(subject).await;
        assert_eq!(readers.seen.len(), 1);
        assert_eq!(readers.seen[0].applied, applied);
    }
}

/// The time of a poll is told by the shard's clock.
pub async fn silence_grows_on_the_clock_of_the_shard(subject: &Subject) {
    enter(subject, &reader(1)).await;
    subject.pass(60).await;
    let readers = readers(subject).await;
    let silence = readers.now.since(readers.seen[0].polled);
    assert!(silence.as_millis() >= 60, "{silence:?}");
    let age = readers.now.since(readers.since.expect("a list"));
    assert!(age >= silence);
}

/// Who says that it leaves is off the list at once.
pub async fn who_leaves_is_not_waited_for(subject: &Subject) {
    for node in 1..=3 {
        enter(subject, &reader(node)).await;
    }
    let leaves = Reader {
        leaves: true,
        ..reader(2)
    };
    enter(subject, &leaves).await;
    assert_eq!(listed(subject).await, [1, 3]);
    enter(subject, &leaves).await;
    assert_eq!(listed(subject).await, [1, 3]);
}

/// Two caches of one node, or two nodes that drew the same number, are two readers.
pub async fn readers_are_told_apart_by_cache_and_name(subject: &Subject) {
    enter(subject, &reader(1)).await;
    let (cache, name) = ("app:orders".into(), "another".into());
    enter(subject, &Reader { cache, ..reader(1) }).await;
    enter(subject, &Reader { name, ..reader(1) }).await;
    assert_eq!(listed(subject).await, [1, 1, 1]);
}

/// The list of readers is bounded, and who does not fit in is refused: nobody would wait for it.
pub async fn too_many_readers_are_refused(subject: &Subject) {
    for node in 0..MAX_READERS as u32 {
        enter(subject, &reader(node)).await;
    }
    let surplus = reader(MAX_READERS as u32);
    assert!(subject.bus().poll(&surplus).await.is_err());
    assert_eq!(readers(subject).await.seen.len(), MAX_READERS);
    // Those who are on it go on.
    enter(subject, &reader(17)).await;
    let leaves = Reader {
        leaves: true,
        ..reader(17)
    };
    enter(subject, &leaves).await;
    enter(subject, &surplus).await;
    assert_eq!(readers(subject).await.seen.len(), MAX_READERS);
}

/// A nudge reaches every subscriber, between the records, and is none.
pub async fn a_nudge_reaches_every_subscriber(subject: &Subject) {
    let first = poll(subject).await;
    let mut feeds = [subscribe(subject).await, subscribe(subject).await];
    subject.put("k", "v").await;
    fine(subject.bus().nudge().await);
    subject.put("k", "w").await;
    for feed in &mut feeds {
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.push(match message(&mut **feed).await.expect("a message") {
                Pushed::Record(BusRecord { position, .. }) => position.seq,
                Pushed::Nudge => 0,
                Pushed::Free(_) => panic!("nobody waits for a lease"),
            });
        }
        assert_eq!(heard, [1, 0, 2]);
    }
    assert_eq!(poll(subject).await, Position { seq: 2, ..first });
}

/// Nobody is there to be asked.
pub async fn a_nudge_without_a_log_does_nothing(subject: &Subject) {
    fine(subject.bus().nudge().await);
    assert_eq!(readers(subject).await.log, None);
}

/// What the store remembers is longer than what anybody waits.
pub async fn silent_readers_stay_on_the_list_for_longer_than_they_are_waited_for(
    subject: &Subject,
) {
    assert!(u128::from(READER_LIFE_MS) > 10 * fenced_after().as_millis());
    enter(subject, &reader(1)).await;
    subject.pass(1_200).await;
    let readers = readers(subject).await;
    let silence = readers.now.since(readers.seen[0].polled);
    assert!(silence > fenced_after() && readers.are_complete());
}
