//! Production engines over one store, in simulation: no acknowledged change is followed by an
//! older value for longer than promised, copies converge, and each rule that sees to it is needed.

use std::time::Duration;

use larder_core::mutant::Mutant;
use larder_testkit::sim::{Faults, Report, SCENARIOS, Setup, Violation, World, search};

const RACES: u64 = 1_000;
const RUNS: u64 = 150;

const CALM: Setup = Setup {
    nodes: 3,
    keys: 6,
    tasks: 4,
    operations: 60,
    rest: Duration::from_millis(3),
    faults: Faults {
        lost_request: 0,
        lost_reply: 0,
        slow: 20,
        lost_push: 0,
        doubled_push: 0,
        broken_push: 0,
    },
    chaos: false,
};
const STORMY: Setup = Setup {
    faults: Faults {
        lost_request: 15,
        lost_reply: 15,
        slow: 50,
        lost_push: 150,
        doubled_push: 100,
        broken_push: 20,
    },
    ..CALM
};
/// Slow enough for leases to end and links to be cut in the middle of things.
const CHAOTIC: Setup = Setup {
    chaos: true,
    rest: Duration::from_millis(150),
    ..STORMY
};

const SETUPS: [(&str, Setup); 3] = [("calm", CALM), ("stormy", STORMY), ("chaotic", CHAOTIC)];

#[test]
fn races_on_keys_never_bring_an_older_value_back() {
    for scenario in SCENARIOS {
        if let Err((seed, violation)) = search(0..RACES, None, |seed| scenario.run(seed)) {
            panic!("{}: seed {seed}: {violation}", scenario.name);
        }
    }
}

fn workload(setup: Setup, mutant: Option<Mutant>) -> Result<Vec<Report>, (u64, Violation)> {
    search(0..RUNS, mutant, |seed| World::run(seed, setup))
}

#[test]
fn a_random_workload_never_reads_behind_what_was_promised() {
    for (name, setup) in SETUPS {
        let reports = workload(setup, None)
            .unwrap_or_else(|(seed, violation)| panic!("{name}: seed {seed}: {violation}"));
        let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
        let stats = |of: fn(&larder::Stats) -> u64| {
            reports
                .iter()
                .flat_map(|report| &report.nodes)
                .map(of)
                .sum::<u64>()
        };
        let (reads, hits) = (sum(|report| report.reads), stats(|stats| stats.near.hits));
        let (gaps, flushes) = (
            stats(|stats| stats.bus.gaps),
            stats(|stats| stats.bus.flushes),
        );
        println!(
            "{name}: {} seeds, {reads} reads, {hits} near hits, {} changes, {} errors, \
             {} disasters, {} bus records, {gaps} gaps, {flushes} flushes",
            reports.len(),
            sum(|report| report.changes),
            sum(|report| report.errors),
            sum(|report| report.disasters),
            stats(|stats| stats.bus.received),
        );
        assert!(
            hits * 2 >= reads,
            "{name}: too few near hits to prove anything"
        );
        let refused = |stats: &larder::Stats| stats.refused.iter().map(|(_, count)| count).sum();
        assert!(stats(refused) > 0, "{name}: nothing was ever refused");
        let is_rough = setup.faults.lost_push > 0;
        assert_eq!(
            is_rough,
            stats(|stats| stats.errors.iter().map(|(_, n)| n).sum()) > 100
        );
        // Pushed records overtake each other even on a calm day.
        assert!(
            gaps > 100 && flushes > 0,
            "{name}: {gaps} gaps, {flushes} flushes"
        );
        assert_eq!(setup.chaos, sum(|report| report.disasters) > RUNS, "{name}");
    }
}

#[test]
fn without_any_one_of_its_rules_the_engine_is_caught() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        let raced = SCENARIOS.iter().find_map(|scenario| {
            let found = search(0..RACES, Some(mutant), |seed| scenario.run(seed)).err()?;
            Some(format!("{}, seed {}: {}", scenario.name, found.0, found.1))
        });
        let found = raced.or_else(|| {
            SETUPS.iter().find_map(|(name, setup)| {
                let (seed, violation) = workload(*setup, Some(mutant)).err()?;
                Some(format!("{name}, seed {seed}: {violation}"))
            })
        });
        match found {
            Some(found) => println!("{mutant:?}: {found}"),
            None => survivors.push(mutant),
        }
    }
    assert!(
        survivors.is_empty(),
        "nobody noticed that these rules were gone: {survivors:?}"
    );
}
