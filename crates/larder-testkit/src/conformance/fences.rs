//! Writes that bear the token of a lock: who has lost it cannot undo what the next one wrote.

use larder_core::lock::{Fenced, FencingToken};
use larder_core::space::Space;
use larder_core::store::{Batch, Write};

use super::bus::poll;
use super::subject::{SHORT_LEASE, Subject, bytes, fine, put_long};

/// The one who holds the lock writes, as often as it likes.
pub async fn a_token_that_was_given_writes(subject: &Subject) {
    let token = subject.locked("l", 1).await;
    assert!(subject.put_fenced("k", "v", token).await);
    subject.assert_value("k", "v").await;
    assert!(subject.put_fenced("k", "w", token).await);
    subject.assert_value("k", "w").await;
}

/// A holder that stood still, and wakes when the next one has written.
pub async fn an_older_token_changes_nothing(subject: &Subject) {
    subject.acquire("l", 1, SHORT_LEASE).await;
    let old = subject.locked("l", 1).await;
    assert!(subject.unlock("l", 1).await);
    let new = subject.locked("l", 2).await;
    assert!(subject.put_fenced("k", "of the next", new).await);
    let before = subject.record("k").await;
    assert!(!subject.put_fenced("k", "late", old).await);
    assert_eq!(subject.record("k").await, before);
    assert!(subject.put_fenced("k", "again", new).await);
}

/// Nothing forbids an earlier holder to write what nobody has written since: it comes before.
pub async fn tokens_are_held_against_each_key_by_itself(subject: &Subject) {
    let old = subject.locked("l", 1).await;
    let new = subject.locked("m", 2).await;
    assert!(subject.put_fenced("a", "v", new).await);
    assert!(subject.put_fenced("b", "v", old).await);
    assert!(subject.put_fenced("b", "w", new).await);
    assert!(!subject.put_fenced("a", "x", old).await);
    assert!(!subject.put_fenced("b", "x", old).await);
}

/// What became of the value since does not matter.
pub async fn a_token_outlives_the_value(subject: &Subject) {
    let old = subject.locked("l", 1).await;
    let new = subject.locked("m", 2).await;
    for key in ["removed", "buried", "expired", "cleared"] {
        assert!(subject.put_fenced(key, "v", new).await);
    }
    subject.remove("removed").await;
    subject.bury("buried").await;
    subject.write("expired", Write::Expire).await;
    let space = Space::prefix("cleared");
    fine(subject.keyspace().clear(&space).await);
    for key in ["removed", "buried", "expired", "cleared"] {
        assert!(!subject.put_fenced(key, "late", old).await, "{key}");
    }
    subject.assert_absent("removed").await;
    subject.put("removed", "by somebody without a lock").await;
    assert!(!subject.put_fenced("removed", "late", old).await);
}

/// A number of another origin says nothing about the order of holders here.
pub async fn a_token_that_nobody_gave_is_refused(subject: &Subject) {
    let token = subject.locked("l", 1).await;
    let above = FencingToken::from_number(token.get() + 1_000);
    for forged in [FencingToken::ZERO, FencingToken::from_number(7), above] {
        assert!(!subject.put_fenced("k", "v", forged).await, "{forged:?}");
    }
    subject.assert_absent("k").await;
    assert!(subject.put_fenced("k", "v", token).await);
}

/// It is a change like any other: it has a version, it ends the lease of its key, it is in the log.
pub async fn a_fenced_write_is_a_change_like_any_other(subject: &Subject) {
    let begun = poll(subject).await;
    subject.granted("k", 1).await;
    let token = subject.locked("l", 1).await;
    let (key, other) = (bytes("k"), bytes("other"));
    let batch = Batch::one(key.clone(), put_long("v")).write(other, put_long("w"));
    let done = subject.locks().commit_fenced(&key, token, batch);
    let Fenced::Done(outcomes) = fine(done.await) else {
        panic!("nobody had a greater token");
    };
    assert_eq!(outcomes.len(), 2);
    let position = outcomes.position.expect("somebody reads the log");
    assert!(position.seq > begun.seq);
    assert_eq!(poll(subject).await, position);
    assert_eq!(subject.record("k").await.version, outcomes[0].version);
    subject.assert_value("other", "w").await;
    subject.assert_refused("k", 1).await;
}

/// A refusal leaves no trace in the log.
pub async fn what_is_refused_is_not_told(subject: &Subject) {
    let old = subject.locked("l", 1).await;
    let new = subject.locked("m", 2).await;
    assert!(subject.put_fenced("k", "v", new).await);
    let before = poll(subject).await;
    assert!(!subject.put_fenced("k", "late", old).await);
    assert_eq!(poll(subject).await, before);
}
