//! The breaker as tables of calls, and its budget.

use std::time::Duration;

use super::{Breaker, BreakerPolicy, BreakerState, Budget, Ended};
use crate::runtime::Mono;

const WELL: Ended = Ended::Answered(Duration::from_millis(1));
const SLOW: Ended = Ended::Answered(Duration::from_millis(251));
/// Neither adds to a pause nor takes from it.
const MIDDLE: u64 = 1 << 63;

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn breaker() -> Breaker {
    Breaker::new(BreakerPolicy::default())
}

/// Makes calls one after the other, one millisecond apart, that end so.
fn calls(breaker: &mut Breaker, from: u64, ends: impl IntoIterator<Item = Ended>) -> BreakerState {
    for (at, ended) in (from..).zip(ends) {
        if let Ok(pass) = breaker.enter(ms(at), false) {
            breaker.ended(pass, ended, ms(at), || MIDDLE);
        }
    }
    breaker.state()
}

fn times(ended: Ended, count: usize) -> impl Iterator<Item = Ended> {
    std::iter::repeat_n(ended, count)
}

fn opened() -> Breaker {
    let mut breaker = breaker();
    assert_eq!(
        calls(&mut breaker, 0, times(Ended::Failed, 20)),
        BreakerState::Open
    );
    breaker
}

#[test]
fn it_opens_at_half_of_failures_and_never_on_fewer_than_twenty_calls() {
    use BreakerState::{Closed, Open};
    let failed = Ended::Failed;
    for (ends, state) in [
        (vec![(failed, 19)], Closed),
        (vec![(failed, 20)], Open),
        (vec![(WELL, 10), (failed, 10)], Open),
        (vec![(WELL, 11), (failed, 10)], Closed),
        (vec![(WELL, 11), (failed, 11)], Open),
        // Of the last hundred.
        (vec![(WELL, 1_000), (failed, 49)], Closed),
        (vec![(WELL, 1_000), (failed, 50)], Open),
        (vec![(SLOW, 11), (WELL, 9)], Closed),
        (vec![(WELL, 8), (SLOW, 12)], Open),
        // A call that goes well opens nothing.
        (vec![(SLOW, 12), (WELL, 8)], Closed),
        (vec![(failed, 19), (WELL, 1)], Closed),
        (vec![(failed, 19), (WELL, 1), (failed, 1)], Open),
        (vec![(SLOW, 9), (failed, 2), (WELL, 9)], Closed),
        (vec![(Ended::Unknown, 1_000)], Closed),
        (vec![(WELL, 11), (Ended::Unknown, 50), (failed, 10)], Closed),
    ] {
        let all = ends.iter().flat_map(|&(ended, count)| times(ended, count));
        assert_eq!(calls(&mut breaker(), 0, all), state, "{ends:?}");
    }
}

#[test]
fn what_ended_long_ago_does_not_count() {
    let mut breaker = breaker();
    calls(&mut breaker, 0, times(Ended::Failed, 19));
    assert_eq!(
        calls(&mut breaker, 10_019, times(Ended::Failed, 19)),
        BreakerState::Closed
    );
    assert_eq!(
        calls(&mut breaker, 10_038, times(Ended::Failed, 1)),
        BreakerState::Open
    );
}

#[test]
fn an_open_one_refuses_for_its_pause_and_then_lets_a_few_through() {
    let mut breaker = opened();
    let refused = breaker.enter(ms(20), false);
    assert_eq!(refused, Err(Duration::from_millis(999)));
    assert!(breaker.enter(ms(1_018), false).is_err());
    let passes: Vec<_> = (0..3)
        .map(|_| breaker.enter(ms(1_019), false).expect("a probe"))
        .collect();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert_eq!(breaker.enter(ms(1_019), false), Err(Duration::ZERO));
    // A probe that says nothing makes room for another one.
    breaker.ended(passes[0], Ended::Unknown, ms(1_020), || MIDDLE);
    let fourth = breaker.enter(ms(1_020), false).expect("a probe");
    for pass in [passes[1], passes[2], fourth] {
        assert_eq!(breaker.ended(pass, WELL, ms(1_021), || MIDDLE), None);
    }
    let mut next = || {
        let pass = breaker.enter(ms(1_022), false).expect("a probe");
        breaker.ended(pass, WELL, ms(1_023), || MIDDLE)
    };
    assert_eq!(next(), None);
    assert_eq!(next(), Some(BreakerState::Closed));
}

#[test]
fn a_probe_that_fails_or_is_slow_doubles_the_pause_up_to_its_limit() {
    for bad in [Ended::Failed, SLOW] {
        let mut breaker = opened();
        let mut at = 19;
        for pause in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            assert!(breaker.enter(ms(at + pause - 1), false).is_err());
            at += pause;
            let pass = breaker.enter(ms(at), false).expect("a probe");
            let state = breaker.ended(pass, bad, ms(at), || MIDDLE);
            assert_eq!(state, Some(BreakerState::Open));
        }
    }
}

#[test]
fn pauses_differ_by_up_to_a_quarter() {
    for (random, pause) in [(0, 750), (MIDDLE, 1_000), (u64::MAX, 1_250)] {
        let mut breaker = breaker();
        for at in 0..20 {
            let pass = breaker.enter(ms(at), false).expect("closed");
            breaker.ended(pass, Ended::Failed, ms(0), || random);
        }
        let refused = breaker.enter(ms(0), false).expect_err("open");
        assert_eq!(refused.as_millis(), pause);
    }
}

#[test]
fn what_began_before_a_change_of_state_decides_nothing_after_it() {
    let mut breaker = breaker();
    let early = breaker.enter(ms(0), false).expect("closed");
    calls(&mut breaker, 0, times(Ended::Failed, 20));
    assert_eq!(breaker.ended(early, WELL, ms(30), || MIDDLE), None);
    let probe = breaker.enter(ms(1_019), false).expect("a probe");
    assert_eq!(
        breaker.ended(early, Ended::Failed, ms(1_020), || MIDDLE),
        None
    );
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    breaker.ended(probe, Ended::Failed, ms(1_020), || MIDDLE);
    let next = breaker.enter(ms(4_000), false).expect("a probe");
    assert_eq!(
        breaker.ended(probe, Ended::Failed, ms(4_000), || MIDDLE),
        None
    );
    assert_eq!(breaker.ended(next, WELL, ms(4_000), || MIDDLE), None);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[test]
fn vital_calls_are_made_all_the_same_and_show_that_a_server_is_back() {
    let mut breaker = opened();
    let vital = breaker.enter(ms(100), true).expect("vital");
    assert_eq!(
        breaker.ended(vital, Ended::Failed, ms(100), || MIDDLE),
        None
    );
    let vital = breaker.enter(ms(200), true).expect("vital");
    assert_eq!(breaker.ended(vital, SLOW, ms(200), || MIDDLE), None);
    assert_eq!(breaker.state(), BreakerState::Open);
    let vital = breaker.enter(ms(300), true).expect("vital");
    let state = breaker.ended(vital, WELL, ms(300), || MIDDLE);
    assert_eq!(state, Some(BreakerState::HalfOpen));
    assert_eq!(
        calls(&mut breaker, 301, times(WELL, 5)),
        BreakerState::Closed
    );
    // After that the first pause is short again.
    calls(&mut breaker, 400, times(Ended::Failed, 20));
    assert!(breaker.enter(ms(1_500), false).is_ok());
}

#[test]
fn a_new_connection_is_worth_an_attempt() {
    let mut breaker = opened();
    assert_eq!(breaker.reachable(), Some(BreakerState::HalfOpen));
    assert_eq!(breaker.reachable(), None);
    assert!(breaker.enter(ms(20), false).is_ok());
    assert_eq!(Breaker::new(BreakerPolicy::default()).reachable(), None);
}

#[test]
fn repetitions_are_a_fifth_of_the_calls_and_ten_a_second() {
    let mut budget = Budget::new(ms(0));
    let take = |budget: &mut Budget, at: u64| (0..1_000).filter(|_| budget.take(ms(at))).count();
    assert_eq!(take(&mut budget, 0), 100);
    assert_eq!(take(&mut budget, 0), 0);
    (0..50).for_each(|_| budget.called());
    assert_eq!(take(&mut budget, 0), 10);
    assert_eq!(take(&mut budget, 500), 5);
    // No more than a hundred are saved, whatever happens meanwhile.
    (0..100_000).for_each(|_| budget.called());
    assert_eq!(take(&mut budget, 3_600_000), 100);
}
