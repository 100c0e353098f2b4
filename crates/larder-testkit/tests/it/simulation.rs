//! Two and three production engines over one store, in simulation: no acknowledged change is
//! followed by an older value, and each rule that sees to it is needed.

use larder_core::mutant::Mutant;
use larder_testkit::sim::{Faults, Report, SCENARIOS, Setup, Violation, World, search};

const RACES: u64 = 1_000;
const RUNS: u64 = 300;

const CALM: Setup = Setup {
    nodes: 3,
    keys: 4,
    tasks: 3,
    operations: 30,
    faults: Faults {
        lost_request: 0,
        lost_reply: 0,
        slow: 20,
    },
};
const STORMY: Setup = Setup {
    faults: Faults {
        lost_request: 15,
        lost_reply: 15,
        slow: 50,
    },
    ..CALM
};

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
fn a_random_workload_never_reads_behind_an_acknowledged_change() {
    for setup in [CALM, STORMY] {
        let reports = workload(setup, None).unwrap_or_else(|(seed, violation)| {
            panic!("seed {seed}: {violation}");
        });
        let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
        let near = |of: fn(&larder::Stats) -> u64| sum_stats(&reports, of);
        println!(
            "{} seeds: {} reads ({} near hits), {} changes, {} errors injected",
            reports.len(),
            sum(|report| report.reads),
            near(|stats| stats.near.hits),
            sum(|report| report.changes),
            sum(|report| report.errors),
        );
        assert!(near(|stats| stats.near.hits) > 0 && sum(|report| report.changes) > 0);
        let refused = |stats: &larder::Stats| stats.refused.iter().map(|(_, count)| count).sum();
        assert!(
            near(refused) > 0,
            "nothing was ever refused: the runs prove nothing"
        );
        let lost = near(|stats| stats.errors.iter().map(|(_, count)| count).sum());
        assert_eq!(setup.faults.lost_reply > 0, lost > 100, "{lost} errors");
    }
}

fn sum_stats(reports: &[Report], of: impl Fn(&larder::Stats) -> u64) -> u64 {
    reports
        .iter()
        .flat_map(|report| &report.nodes)
        .map(of)
        .sum()
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
            let (seed, violation) = workload(CALM, Some(mutant)).err()?;
            Some(format!("workload, seed {seed}: {violation}"))
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
