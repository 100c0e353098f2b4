//! Limits of rates.

use std::time::Duration;

use larder_core::error::ErrorKind;
use larder_core::rate::{RateLimit, rate_key};
use larder_core::space::Space;

use super::subject::{LONG, SHORT, Subject, fine};

fn limit(count: u64, period_ms: u64, burst: u64) -> RateLimit {
    let period = Duration::from_millis(period_ms);
    RateLimit::new(count, period, burst).expect("it can be kept")
}

/// As many at once as the burst says, and the next is told when to come.
pub async fn a_burst_is_allowed_and_no_more(subject: &Subject) {
    let limit = limit(1, LONG, 3);
    for left in [2, 1, 0] {
        let verdict = subject.request("u", &limit, 1).await;
        assert!(verdict.is_allowed, "{verdict:?}");
        assert_eq!(verdict.remaining, left);
        assert_eq!(verdict.retry_after, Duration::ZERO);
    }
    let refused = subject.request("u", &limit, 1).await;
    assert!(!refused.is_allowed && refused.remaining == 0);
    let period = Duration::from_millis(LONG);
    assert!(refused.retry_after > period / 2 && refused.retry_after <= period);
    assert!(refused.reset_after > 2 * period && refused.reset_after <= 3 * period);
}

/// Otherwise whoever keeps on asking is never let in.
pub async fn a_refused_request_uses_nothing_up(subject: &Subject) {
    let limit = limit(1, LONG, 2);
    assert!(subject.request("u", &limit, 1).await.is_allowed);
    for _ in 0..5 {
        assert!(!subject.request("u", &limit, 2).await.is_allowed);
    }
    assert!(subject.request("u", &limit, 1).await.is_allowed);
}

/// In time, and to the full burst after a time of rest.
pub async fn what_has_leaked_is_allowed_again(subject: &Subject) {
    let (one, many) = (limit(1, SHORT, 1), limit(1, SHORT, 1_000));
    assert!(subject.request("v", &many, 1_000).await.is_allowed);
    for _ in 0..3 {
        assert!(subject.request("u", &one, 1).await.is_allowed);
        subject.pass_short().await;
        assert!(subject.request("v", &many, 1).await.is_allowed);
    }
}

/// To show a user what is left.
pub async fn a_cost_of_nothing_only_looks(subject: &Subject) {
    let limit = limit(1, LONG, 5);
    for _ in 0..3 {
        let seen = subject.request("u", &limit, 0).await;
        assert!(seen.is_allowed && seen.remaining == 5);
        assert_eq!(seen.reset_after, Duration::ZERO);
    }
    assert_eq!(subject.request("u", &limit, 4).await.remaining, 1);
    assert_eq!(subject.request("u", &limit, 0).await.remaining, 1);
}

/// It could never be allowed, so it is no matter of waiting.
pub async fn a_cost_above_the_burst_is_an_error(subject: &Subject) {
    let limit = limit(5, LONG, 2);
    let name = rate_key(&limit, b"u");
    let refused = subject.rates().request(&name, &limit, 3).await;
    let refused = refused.expect_err("it is refused");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

/// One does not use up what another one has.
pub async fn names_and_periods_are_apart(subject: &Subject) {
    let (slow, other) = (limit(1, LONG, 1), limit(1, LONG + 1, 1));
    assert!(subject.request("u", &slow, 1).await.is_allowed);
    assert!(!subject.request("u", &slow, 1).await.is_allowed);
    assert!(subject.request("v", &slow, 1).await.is_allowed);
    assert!(subject.request("u", &other, 1).await.is_allowed);
}

/// However they come.
pub async fn of_many_at_once_no_more_are_allowed(subject: &Subject) {
    let limit = limit(1, LONG, 7);
    let asked = (0..40).map(|_| subject.request("u", &limit, 1));
    let verdicts = futures_util::future::join_all(asked).await;
    let allowed = verdicts.iter().filter(|verdict| verdict.is_allowed);
    assert_eq!(allowed.count(), 7);
}

/// Numbers that are exact only when nothing is rounded.
pub async fn odd_rates_are_kept_exactly(subject: &Subject) {
    let limit = limit(7, LONG, 1_000_003);
    let verdict = subject.request("u", &limit, 1_000_003).await;
    assert!(verdict.is_allowed && verdict.remaining == 0);
    let refused = subject.request("u", &limit, 1).await;
    assert!(!refused.is_allowed);
    let unit = Duration::from_millis(LONG).as_micros() as u64;
    let most = (u128::from(unit) * 1_000_003).div_ceil(7);
    assert_eq!(verdict.reset_after.as_micros(), most);
    assert!(refused.retry_after <= Duration::from_micros(unit.div_ceil(7)));
}

/// They are in no space.
pub async fn limits_are_no_keys_of_users(subject: &Subject) {
    subject.request("u", &limit(1, LONG, 1), 1).await;
    let space = Space::default();
    assert_eq!(fine(subject.keyspace().count(&space).await), 0);
    assert_eq!(fine(subject.keyspace().clear(&space).await), 0);
    assert!(!subject.request("u", &limit(1, LONG, 1), 1).await.is_allowed);
}
