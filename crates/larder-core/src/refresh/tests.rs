//! Tables for early refresh, and the chance of it against the formula of the paper.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1_000_000_000)
}

#[test]
fn a_refresh_begins_at_its_point_and_never_when_the_fresh_life_is_over_by_then() {
    let chance = Early::Chance { beta: 1.0 };
    for (early, end, cost, begins) in [
        (Early::Never, Some(200), 1, None),
        (Early::After(10 * SECOND), Some(200), 0, Some(110)),
        (Early::After(10 * SECOND), None, 0, Some(110)),
        (Early::After(100 * SECOND), Some(200), 0, None),
        (Early::After(Duration::MAX), None, 0, None),
        (Early::Part(0.75), Some(200), 0, Some(175)),
        (Early::Part(0.0), Some(200), 0, Some(100)),
        (Early::Part(1.0), Some(200), 0, None),
        (Early::Part(0.75), None, 0, None),
        (chance, None, 1, None),
        // An inserted value: nobody knows what loading it takes.
        (chance, Some(200), 0, None),
        (chance, Some(200), 1_000_000, Some(0)),
    ] {
        let cost = Duration::from_secs(cost);
        assert_eq!(
            early.begins(at(100), end.map(at), cost),
            begins.map_or(Mono::MAX, at),
            "{early:?} {end:?}"
        );
    }
    let begins = chance.begins(at(100), Some(at(200)), SECOND);
    assert_eq!(begins, Mono(163_250_000_000));
}

#[test]
fn a_read_is_due_from_the_point_on() {
    let draws = || unreachable!("no chance in it");
    for early in [Early::After(SECOND), Early::Part(0.5)] {
        assert!(!early.is_due(at(5), SECOND, Mono(at(5).0 - 1), draws));
        assert!(early.is_due(at(5), SECOND, at(5), draws));
        assert!(!early.is_due(Mono::MAX, SECOND, Mono::MAX, draws));
    }
    assert!(!Early::Never.is_due(at(5), SECOND, at(9), draws));
}

#[test]
fn chance_is_as_in_the_paper_whatever_the_load_time_and_beta() {
    const DRAWS: u64 = 20_000;
    for (cost_ms, beta) in [(1_000, 1.0), (50, 1.0), (300, 2.5), (4_000, 0.5)] {
        let (early, cost) = (Early::Chance { beta }, Duration::from_millis(cost_ms));
        let end = at(10_000);
        let begins = early.begins(Mono(0), Some(end), cost);
        for ratio in [0.0, 0.1, 1.0, 3.0, 5.0] {
            let before = cost.mul_f64(beta * ratio);
            let now = Mono(end.0 - before.as_nanos() as u64);
            // Evenly over all numbers that may be drawn.
            let due = (0..DRAWS)
                .filter(|n| early.is_due(begins, cost, now, || n * (u64::MAX / DRAWS)))
                .count();
            let chance = due as f64 / DRAWS as f64;
            let expected = (-ratio).exp();
            assert!(
                (chance - expected).abs() < 0.001,
                "{cost:?} {beta} {ratio}: {chance}, not {expected}"
            );
        }
    }
}

#[test]
fn the_smallest_number_is_due_at_the_first_instant_and_the_greatest_at_the_last() {
    let early = Early::Chance { beta: 1.0 };
    let (end, cost) = (at(1_000), SECOND);
    let begins = early.begins(Mono(0), Some(end), cost);
    let soon = begins.after(Duration::from_millis(14));
    assert!(early.is_due(begins, cost, soon, || 0));
    assert!(!early.is_due(begins, cost, begins, || 0));
    assert!(!early.is_due(begins, cost, Mono(end.0 - 1_000_000), || u64::MAX));
    assert!(early.is_due(begins, cost, end, || u64::MAX));
}
