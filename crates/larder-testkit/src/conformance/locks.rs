//! Locks: one holder at a time, for a time, each with a greater number than the one before.

use std::time::Duration;

use larder_core::lock::{Acquired, FencingToken, MAX_TTL};

use super::subject::{LONG_LEASE, SHORT, SHORT_LEASE, Subject, fine};
use crate::conformance::lock_words::{name, owner};

/// One has it, and the other one is told for how long.
pub async fn a_free_lock_is_given_and_a_held_one_is_not(subject: &Subject) {
    let token = subject.locked("l", 1).await;
    assert!(token > FencingToken::ZERO && token.get() < 1 << 53);
    let Acquired::Taken(remaining) = subject.acquire("l", 2, LONG_LEASE).await else {
        panic!("it is taken");
    };
    assert!(remaining > Duration::ZERO && remaining <= LONG_LEASE);
    subject.locked("another", 2).await;
}

/// Whoever did not hear the first answer asks again, and finds itself.
pub async fn its_owner_asking_again_has_it_with_the_same_token(subject: &Subject) {
    let token = subject.locked("l", 1).await;
    assert_eq!(subject.locked("l", 1).await, token);
    let short = subject.acquire("s", 1, SHORT_LEASE).await;
    let again = subject.acquire("s", 1, LONG_LEASE).await;
    assert_eq!(again, short);
    subject.pass_short().await;
    let other = subject.acquire("s", 2, LONG_LEASE).await;
    assert!(matches!(other, Acquired::Taken(_)), "{other:?}");
}

/// A holder that died makes nobody wait for ever.
pub async fn a_lock_ends_with_its_ttl(subject: &Subject) {
    subject.acquire("l", 1, SHORT_LEASE).await;
    subject.pass_short().await;
    subject.locked("l", 2).await;
}

/// Nobody else can make it last.
pub async fn only_its_owner_prolongs_it(subject: &Subject) {
    subject.acquire("l", 1, SHORT_LEASE).await;
    assert!(!subject.prolong("l", 2, LONG_LEASE).await);
    assert!(subject.prolong("l", 1, LONG_LEASE).await);
    subject.pass_short().await;
    let other = subject.acquire("l", 2, LONG_LEASE).await;
    assert!(matches!(other, Acquired::Taken(_)), "{other:?}");
}

/// It does not come back: somebody may have had it since.
pub async fn a_lock_that_is_over_is_not_prolonged(subject: &Subject) {
    subject.acquire("l", 1, SHORT_LEASE).await;
    subject.pass_short().await;
    assert!(!subject.prolong("l", 1, LONG_LEASE).await);
    subject.locked("l", 2).await;
    assert!(!subject.prolong("l", 1, LONG_LEASE).await);
    assert!(!subject.prolong("never", 1, LONG_LEASE).await);
}

/// The one who waits can have it at once.
pub async fn a_lock_is_given_back(subject: &Subject) {
    subject.locked("l", 1).await;
    assert!(subject.unlock("l", 1).await);
    assert!(!subject.unlock("l", 1).await, "once");
    subject.locked("l", 2).await;
}

/// A holder that comes late finds the lock of another one, and leaves it.
pub async fn nobody_gives_back_the_lock_of_another(subject: &Subject) {
    subject.acquire("l", 1, SHORT_LEASE).await;
    subject.pass_short().await;
    subject.locked("l", 2).await;
    assert!(!subject.unlock("l", 1).await);
    let third = subject.acquire("l", 3, LONG_LEASE).await;
    assert!(matches!(third, Acquired::Taken(_)), "{third:?}");
}

/// Whatever their names, and however they ended.
pub async fn tokens_rise_from_lock_to_lock(subject: &Subject) {
    let mut last = FencingToken::ZERO;
    for round in 1..=20 {
        let token = subject.locked("l", round).await;
        assert!(token > last, "{token:?} after {last:?}");
        let other = subject.locked(&format!("of {round}"), round).await;
        assert!(other > token, "{other:?} after {token:?}");
        last = other;
        assert!(subject.unlock("l", round).await);
    }
    subject.acquire("l", 1, Duration::from_millis(SHORT)).await;
    subject.pass_short().await;
    assert!(subject.locked("l", 2).await > last);
}

/// A client that knows of a greater one, from before the store forgot, is given one that is greater.
pub async fn a_token_exceeds_what_its_owner_has_seen(subject: &Subject) {
    let token = subject.locked("l", 1).await;
    let seen = FencingToken::from_number(token.get() + 3_600_000_000);
    let later = subject.acquire_after("m", 1, seen).await;
    assert!(later > seen);
    assert!(subject.locked("n", 1).await > later);
}

/// However they come.
pub async fn of_many_who_ask_at_once_one_has_it(subject: &Subject) {
    let (locks, name) = (subject.locks(), name("l"));
    let asked = (1..=16).map(|who| {
        let name = name.clone();
        async move {
            let asked = locks.acquire(&name, owner(who), LONG_LEASE, FencingToken::ZERO);
            matches!(fine(asked.await), Acquired::Held(_))
        }
    });
    let held = futures_util::future::join_all(asked).await;
    assert_eq!(held.iter().filter(|held| **held).count(), 1);
}

/// They are in no space, and clearing leaves them.
pub async fn locks_are_no_keys_of_users(subject: &Subject) {
    use larder_core::space::Space;
    subject.put("k", "v").await;
    let token = subject.locked("l", 1).await;
    assert!(subject.put_fenced("f", "v", token).await);
    let space = Space::default();
    assert_eq!(fine(subject.keyspace().count(&space).await), 2);
    assert_eq!(fine(subject.keyspace().clear(&space).await), 2);
    let other = subject.acquire("l", 2, LONG_LEASE).await;
    assert!(matches!(other, Acquired::Taken(_)), "{other:?}");
}

/// So that they need not ask again and again.
pub async fn who_waits_is_told_of_a_lock_given_back(subject: &Subject) {
    let mut releases = fine(subject.locks().releases().await);
    subject.locked("l", 1).await;
    assert!(!subject.unlock("l", 2).await);
    subject.locked("m", 1).await;
    assert!(subject.unlock("m", 1).await);
    assert_eq!(releases.next().await, Some(name("m")));
}

/// A lock of no life would be over before its holder knew of it; one of a year is a dead key.
pub async fn lives_that_mean_nothing_are_refused(subject: &Subject) {
    for ttl in [Duration::ZERO, MAX_TTL + Duration::from_secs(1)] {
        let name = name("l");
        let asked = subject.locks();
        let asked = asked.acquire(&name, owner(1), ttl, FencingToken::ZERO);
        let refused = asked.await.expect_err("it is refused");
        assert_eq!(refused.kind(), larder_core::ErrorKind::Invalid);
    }
}
