//! Locks on servers that forget, or are another process: the tokens go on rising, and those from
//! before are refused, because nobody knows what was seen since.

use larder_core::lock::{Acquired, Fenced, FencingToken};
use larder_core::space::system_key;
use larder_core::store::Batch;

use super::server_restarts::{restart, until_answered};
use super::subject::{LONG_LEASE, Subject, bytes, put_long};
use crate::conformance::lock_words::{name, owner};

/// An hour, in the microseconds of tokens.
const HOUR: u64 = 3_600_000_000;

/// The shard gives numbers that are an hour ahead, as while its clock was. When it forgets them, its
/// clock seems to have been set back.
async fn runs_ahead(subject: &Subject) -> FencingToken {
    let ahead = subject.locked("other", 1).await.get() + HOUR;
    let script = format!("redis.call('HSET', shard, 'high_water', '{ahead}')");
    subject.meddle(b"", &script);
    subject.locked("ahead", 1).await
}

/// The counter is lost, and the time goes on from beyond all that it gave.
pub async fn tokens_rise_though_the_shard_has_forgotten(subject: &Subject) {
    let before = subject.locked("l", 1).await;
    subject.forget_the_shard().await;
    assert!(subject.locked("m", 2).await > before);
}

/// The lock has outlived what the shard knew of its token, which nobody can vouch for any more.
pub async fn a_token_from_before_the_shard_forgot_is_refused(subject: &Subject) {
    let before = subject.locked("l", 1).await;
    assert!(subject.put_fenced("k", "v", before).await);
    subject.forget_the_shard().await;
    assert!(!subject.put_fenced("k", "w", before).await);
    assert!(
        !subject.prolong("l", 1, LONG_LEASE).await,
        "its holder is told"
    );
    let other = subject.acquire("l", 2, LONG_LEASE).await;
    assert!(
        matches!(other, Acquired::Taken(_)),
        "until it ends: {other:?}"
    );
    let after = subject.locked("l", 1).await;
    assert!(after > before, "asking again, it has another one");
    assert!(subject.put_fenced("k", "w", after).await);
}

/// Evicted on its own, say.
pub async fn a_token_is_refused_when_what_was_seen_is_lost(subject: &Subject) {
    let old = subject.locked("l", 1).await;
    let new = subject.locked("m", 2).await;
    assert!(subject.put_fenced("k", "v", new).await);
    subject.pass(1).await;
    for half in ["fences:1", "fences:2"] {
        subject.meddle(&system_key(half), "redis.call('DEL', held)");
    }
    for token in [old, new] {
        assert!(!subject.put_fenced("k", "late", token).await);
    }
    subject.assert_value("k", "v").await;
    let next = subject.locked("n", 3).await;
    assert!(subject.put_fenced("k", "w", next).await);
}

/// Everything is lost, and the clock was set back at the same time: who has seen greater tokens says so.
pub async fn tokens_rise_for_those_who_have_seen_them(subject: &Subject) {
    let before = runs_ahead(subject).await;
    subject.forget_the_shard().await;
    let after = subject.acquire_after("l", 2, before).await;
    assert!(after > before, "{after:?} after {before:?}");
}

/// A clock that was set back at the moment of the loss lets no token of before pass either, as long as
/// the numbers that are given have not come up to it.
pub async fn a_token_from_the_time_ahead_is_refused(subject: &Subject) {
    let before = runs_ahead(subject).await;
    subject.forget_the_shard().await;
    let after = subject.locked("l", 2).await;
    assert!(after < before, "the clock was set back");
    assert!(!subject.put_fenced("k", "late", before).await);
    assert!(subject.put_fenced("k", "v", after).await);
}

/// The process before may have given the lock, and seen greater tokens, after the dump was made.
pub async fn a_token_from_before_an_old_dump_is_refused(subject: &Subject) {
    let old = subject.locked("l", 1).await;
    subject.hand().save();
    let new = subject.locked("m", 2).await;
    assert!(subject.put_fenced("k", "lost", new).await);
    restart(subject).await;
    for token in [old, new] {
        let put = until_answered(subject, async || {
            let key = bytes("k");
            let batch = Batch::one(key.clone(), put_long("late"));
            let put = subject.locks().commit_fenced(&key, token, batch);
            put.await.ok()
        });
        assert_eq!(put.await, Fenced::Refused);
    }
    assert!(!subject.prolong("l", 1, LONG_LEASE).await);
    let other = subject.acquire("l", 3, LONG_LEASE).await;
    assert!(matches!(other, Acquired::Taken(_)), "{other:?}");
    assert!(subject.locked("n", 3).await > new);
}

/// It has no lock and no token any more, and the time is what is left.
pub async fn tokens_rise_though_the_server_comes_back_empty(subject: &Subject) {
    let before = subject.locked("l", 1).await;
    restart(subject).await;
    let name = name("l");
    let after = until_answered(subject, async || {
        let locks = subject.locks();
        let asked = locks.acquire(&name, owner(2), LONG_LEASE, FencingToken::ZERO);
        asked.await.ok()
    });
    let Acquired::Held(after) = after.await else {
        panic!("nobody has it there");
    };
    assert!(after > before);
    assert!(!subject.put_fenced("k", "late", before).await);
    assert!(subject.put_fenced("k", "v", after).await);
    assert!(
        !subject.unlock("l", 1).await,
        "it is the lock of another one"
    );
}
