//! Production engines over one store, in simulation: no acknowledged change is followed by an
//! older value for longer than promised, copies converge, and each rule that sees to it is needed.
//!
//! A bounded number of seeds of what `cargo xtask sim` runs with as many as one likes.

use larder_core::admit::Refusal;
use larder_core::mutant::Mutant;
use larder_testkit::sim::{COURSES, Course, Failure, Fault, Report};

const RACES: u64 = 1_000;
const RUNS: u64 = 150;

fn seeds(course: Course) -> u64 {
    if course.name == "races" { RACES } else { RUNS }
}

fn run(course: Course, mutant: Option<Mutant>) -> (Report, Option<Failure>) {
    course.run_all(0..seeds(course), mutant, &|| {})
}

fn passed(name: &str) -> Report {
    let course = Course::named(name).unwrap_or_else(|| panic!("{name} is a course"));
    let (report, failure) = run(course, None);
    if let Some(Failure { seed, text }) = failure {
        panic!("{name}: seed {seed}: {text}");
    }
    println!("{name}\n{report}");
    assert_eq!(report.runs, seeds(course));
    report
}

#[test]
fn races_on_keys_never_bring_an_older_value_back() {
    passed("races");
}

/// Pushed records overtake each other even on a calm day.
fn proves_something(name: &str) -> Report {
    let report = passed(name);
    assert!(report.hit_percent() > 40.0, "{name}: too few near hits");
    assert!(report.gaps > 100 && report.flushes > 0, "{name}");
    report
}

#[test]
fn a_calm_day_never_reads_behind_what_was_promised() {
    let report = proves_something("calm");
    assert_eq!((report.disasters(), report.store_errors), (0, 0));
}

#[test]
fn a_storm_never_reads_behind_what_was_promised() {
    let report = proves_something("stormy");
    assert_eq!(report.disasters(), 0);
    assert!(report.store_errors > 100);
}

#[test]
fn chaos_never_reads_behind_what_was_promised() {
    let report = proves_something("chaotic");
    assert!(report.store_errors > 100);
    for fault in Fault::ALL {
        assert!(report.fault(fault) > RUNS / 10, "too little: {fault:?}");
    }
    assert_eq!(report.never_refused(), Vec::<Refusal>::new());
}

#[test]
fn without_any_one_of_its_rules_the_engine_is_caught() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        let found = COURSES.into_iter().find_map(|course| {
            let (_, failure) = run(course, Some(mutant));
            failure.map(|Failure { seed, text }| format!("{}, seed {seed}: {text}", course.name))
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
