//! Limits as tables, and held against a naive count.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000;

fn limit(count: u64, period_us: u64, burst: u64) -> RateLimit {
    RateLimit::new(count, Duration::from_micros(period_us), burst).unwrap()
}

/// Requests one after the other at these times; whether each was allowed.
fn allowed(limit: &RateLimit, requests: &[(u64, u64)]) -> Vec<bool> {
    let mut bucket = Bucket::default();
    let mut ask = |&(at, cost): &(u64, u64)| {
        let (verdict, after) = decide(limit, bucket, at, cost).unwrap();
        bucket = after;
        verdict.is_allowed
    };
    requests.iter().map(&mut ask).collect()
}

#[test]
fn a_burst_is_allowed_at_once_and_then_the_rate() {
    let limit = limit(10, SECOND, 3);
    let at = 5 * SECOND;
    let requests = [0, 0, 0, 0, 99_999, 100_000, 100_001, 199_999, 200_000];
    let requests = requests.map(|after| (at + after, 1));
    let expected = [true, true, true, false, false, true, false, false, true];
    assert_eq!(allowed(&limit, &requests), expected);
}

#[test]
fn a_verdict_says_what_is_left_and_when_to_come_again() {
    let limit = limit(10, SECOND, 3);
    let (first, bucket) = decide(&limit, Bucket::default(), SECOND, 2).unwrap();
    let expected = Verdict {
        is_allowed: true,
        remaining: 1,
        retry_after: Duration::ZERO,
        reset_after: Duration::from_millis(200),
    };
    assert_eq!(first, expected);
    let (second, after) = decide(&limit, bucket, SECOND + 50_000, 3).unwrap();
    let expected = Verdict {
        is_allowed: false,
        remaining: 1,
        retry_after: Duration::from_millis(150),
        reset_after: Duration::from_millis(150),
    };
    assert_eq!(second, expected);
    let (third, _) = decide(&limit, after, SECOND + 200_000, 3).unwrap();
    assert!(third.is_allowed, "it is allowed when it was said to be");
}

#[test]
fn looking_uses_nothing_up() {
    let limit = limit(1, SECOND, 1);
    let (_, full) = decide(&limit, Bucket::default(), SECOND, 1).unwrap();
    for _ in 0..3 {
        let (seen, after) = decide(&limit, full, SECOND, 0).unwrap();
        assert!(seen.is_allowed && seen.remaining == 0);
        assert_eq!(after, full);
    }
}

#[test]
fn a_clock_that_steps_back_gives_nothing_and_takes_nothing_more() {
    let limit = limit(1, SECOND, 1);
    let hour = 3_600 * SECOND;
    let requests = [(hour, 1), (SECOND, 1), (2 * SECOND - 1, 1), (2 * SECOND, 1)];
    assert_eq!(allowed(&limit, &requests), [true, false, false, true]);
}

#[test]
fn limits_that_mean_nothing_are_refused() {
    let second = Duration::from_secs(1);
    let wrong = [
        (0, second, 1),
        (1, second, 0),
        (1, Duration::ZERO, 1),
        (1, LONGEST + second, 1),
        (1, Duration::from_secs(86_400), 1_000_000),
        (u64::MAX, second, 1),
    ];
    for (count, period, burst) in wrong {
        let refused = RateLimit::new(count, period, burst).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
    }
    let never = decide(&limit(5, SECOND, 2), Bucket::default(), 0, 3).unwrap_err();
    assert_eq!(never.kind(), ErrorKind::Invalid);
}

proptest! {
    /// In every stretch of time, no more are allowed than the burst and what the rate gives.
    #[test]
    fn no_stretch_of_time_allows_more(
        count in 1_u64..2_000,
        period in 1_u64..5 * SECOND,
        burst in 1_u64..50,
        steps in prop::collection::vec((0_u64..SECOND / 4, 1_u64..4), 1..80),
    ) {
        let limit = limit(count, period, burst);
        let (mut at, mut requests) = (SECOND, Vec::new());
        for (step, cost) in steps {
            at += step;
            requests.push((at, cost.min(burst)));
        }
        let allowed = allowed(&limit, &requests);
        let given: Vec<(u64, u64)> = requests.into_iter().zip(&allowed).filter_map(|(request, allowed)| allowed.then_some(request)).collect();
        for (first, (from, _)) in given.iter().enumerate() {
            let mut sum = 0_u128;
            for (to, cost) in &given[first..] {
                sum += u128::from(*cost);
                let most = u128::from(burst) * u128::from(period) + u128::from(to - from) * u128::from(count);
                prop_assert!(sum * u128::from(period) <= most);
            }
        }
    }

    /// A request is allowed at the moment that it was told, and not a microsecond sooner.
    #[test]
    fn what_is_told_to_come_again_is_allowed_then(
        count in 1_u64..2_000,
        period in 1_u64..5 * SECOND,
        burst in 1_u64..50,
        costs in prop::collection::vec(1_u64..10, 1..40),
    ) {
        let limit = limit(count, period, burst);
        let mut bucket = Bucket::default();
        for cost in costs {
            let cost = cost.min(burst);
            let (verdict, after) = decide(&limit, bucket, SECOND, cost).unwrap();
            bucket = after;
            if verdict.is_allowed {
                prop_assert_eq!(verdict.retry_after, Duration::ZERO);
                continue;
            }
            let then = SECOND + verdict.retry_after.as_micros() as u64;
            prop_assert!(decide(&limit, bucket, then, cost).unwrap().0.is_allowed);
            prop_assert!(!decide(&limit, bucket, then - 1, cost).unwrap().0.is_allowed);
        }
    }
}
