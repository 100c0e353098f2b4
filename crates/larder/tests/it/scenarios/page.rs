//! The page of the scenarios lists the tests that there are.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../../docs/scenarios.md");

const FILES: [&str; 14] = [
    include_str!("answers.rs"),
    include_str!("backlog.rs"),
    include_str!("bus.rs"),
    include_str!("leases.rs"),
    include_str!("loads.rs"),
    include_str!("many.rs"),
    include_str!("outage.rs"),
    include_str!("races.rs"),
    include_str!("recovery.rs"),
    include_str!("refresh.rs"),
    include_str!("room.rs"),
    include_str!("tags.rs"),
    include_str!("tiers.rs"),
    include_str!("timeouts.rs"),
];

/// Whether a name begins with an id, such as `k01_`.
fn is_scenario(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && letters
            .by_ref()
            .take(2)
            .filter(char::is_ascii_digit)
            .count()
            == 2
        && letters.next() == Some('_')
}

#[test]
fn the_page_of_scenarios_lists_exactly_the_tests_that_there_are() {
    let listed: BTreeSet<&str> = PAGE.split('`').filter(|name| is_scenario(name)).collect();
    let functions = FILES.iter().flat_map(|file| file.split("fn "));
    let names = functions.filter_map(|rest| rest.split('(').next());
    let there: BTreeSet<&str> = names.filter(|name| is_scenario(name)).collect();
    assert_eq!(listed, there);
    assert!(there.len() > 30);
}
