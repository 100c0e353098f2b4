//! Rules of the scripts, and of the client that calls them, taken out one at a time: a claim must fail
//! for each of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use larder_core::mutant::{self, Mutant};
use larder_testkit::conformance::Claim;
use larder_testkit::simredis::mutants::{ScriptMutant, activate};

use crate::conformance::{simulated_enveloped, simulated_plain};

/// How long a claim may wait. Time is virtual, but for this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a claim holds on the simulated server, with this rule taken out.
fn holds(claim: &Claim, file: &str) -> bool {
    // One thread: the switch belongs to it.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().expect("a runtime is made");
    let held = AssertUnwindSafe(async {
        let subject = match file {
            "plain_commit.lua" => simulated_plain().await,
            _ => simulated_enveloped().await,
        };
        let subject = subject.expect("it needs no server");
        // Some wait for what does not come without the rule.
        let held = tokio::time::timeout(PATIENCE, claim.hold(&subject)).await;
        held.expect("it comes");
    });
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(held.0))).is_ok()
}

#[test]
fn without_any_one_of_their_rules_the_scripts_break_a_claim() {
    let claims = Claim::all();
    let mut survivors = Vec::new();
    for mutant in ScriptMutant::all() {
        let name = mutant.noticed;
        let claim = claims.iter().find(|claim| claim.name == name);
        let claim = claim.unwrap_or_else(|| panic!("there is no claim {name}"));
        assert!(
            holds(claim, mutant.file),
            "{name} does not hold with all rules"
        );
        let _active = activate(Some(mutant));
        if holds(claim, mutant.file) {
            survivors.push(mutant.name);
        }
    }
    assert!(survivors.is_empty(), "nobody noticed: {survivors:?}");
}

#[test]
fn a_client_that_does_not_look_whether_its_server_is_another_one_breaks_a_claim() {
    let name = "server_restarts::a_change_is_of_the_new_life_though_nobody_has_polled";
    let claims = Claim::all();
    let claim = claims.iter().find(|claim| claim.name == name);
    let claim = claim.expect("there is such a claim");
    assert!(holds(claim, ""), "it does not hold with all rules");
    let _active = mutant::activate(Some(Mutant::JoinLate));
    assert!(!holds(claim, ""), "nobody noticed");
}

#[test]
fn every_rule_that_can_be_taken_out_is_in_the_list_once() {
    let page = include_str!("../../../../docs/simulation.md");
    let (_, list) = page.split_once("| rule | of the engine |").expect("a list");
    let (list, _) = list.split_once("\n\n").expect("it ends");
    let cells = list.lines().flat_map(|row| row.split('|').skip(2).take(2));
    let mut listed: Vec<&str> = cells.flat_map(|cell| cell.split(',')).collect();
    listed.iter_mut().for_each(|name| *name = name.trim());
    let lists = [
        &Mutant::ALL[..],
        &Mutant::SCENARIOS,
        &Mutant::THREADS,
        &Mutant::MESH,
        &Mutant::MESH_NODES,
    ];
    let all = lists.concat();
    let engine = all.iter().map(|mutant| format!("{mutant:?}"));
    let scripts = ScriptMutant::all().map(|mutant| mutant.name.to_owned());
    for name in engine.chain(scripts) {
        let count = listed.iter().filter(|listed| **listed == name).count();
        assert_eq!(count, 1, "{name} in docs/simulation.md");
    }
}
