//! The simulation from the command line: many seeds, one seed with its story, the
//! mutants, or the ladder.
//!
//! `cargo xtask sim` builds this in release mode and passes its arguments on. It ends with 1 when
//! a promise was broken or a mutant survived, and with 2 when it was called in a wrong way.

#![allow(
    clippy::disallowed_methods,
    reason = "how long a batch takes is told in real time"
)]

mod ladder;
mod lines;
mod options;

use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use larder_core::mutant::Mutant;
use larder_testkit::sim::{Course, Failure, Fault, Journal, Report, Rule, Shared, take_out};

use options::{Options, USAGE};

fn main() -> ExitCode {
    let wrong = |message: String| {
        eprintln!("{message}\n\n{USAGE}");
        ExitCode::from(2)
    };
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => return wrong(message),
    };
    let passed = match (&options.sum, options.seed, options.lines) {
        (Some(path), _, _) => match lines::sum(path) {
            Ok(passed) => passed,
            Err(message) => return wrong(message),
        },
        (_, Some(seed), _) => replay(seed, &options),
        _ if options.ladder => ladder::run(options.seeds, options.threads),
        _ if options.mutants => try_mutants(&options),
        (_, _, Some(step)) => lines::run(&options, step),
        _ => try_seeds(&options),
    };
    ExitCode::from(u8::from(!passed))
}

/// Setup and store, for people.
pub(crate) fn title(course: Course) -> String {
    format!("{}, {}", course.name, course.store().as_str())
}

/// Runs one batch, telling how far it is where somebody watches.
pub(crate) fn batch(
    course: Course,
    options: &Options,
    seeds: Range<u64>,
    mutant: Option<Rule>,
) -> (Report, Option<Failure>, f64) {
    let (count, is_watched) = (seeds.end - seeds.start, std::io::stderr().is_terminal());
    let (done, start) = (AtomicU64::new(0), Instant::now());
    // Twenty lines for a whole batch, or a line that is written over and over.
    let step = if is_watched { 25 } else { (count / 20).max(1) };
    let progress = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(step) && mutant.is_none() && options.lines.is_none() {
            let end = if is_watched { '\r' } else { '\n' };
            eprint!("{}: {done} of {count} seeds{end}", title(course));
            let _ = std::io::stderr().flush();
        }
    };
    let (report, failure) = course.run_all(seeds, options.threads, mutant, &progress);
    (report, failure, start.elapsed().as_secs_f64())
}

/// The seeds of every batch.
fn seeds(options: &Options) -> Range<u64> {
    options.from..options.from.saturating_add(options.seeds)
}

fn try_seeds(options: &Options) -> bool {
    let mut columns = Vec::new();
    let mut failures = Vec::new();
    for course in options.courses() {
        let (report, failure, seconds) = batch(course, options, seeds(options), options.mutant);
        eprintln!("{}: {} seeds in {seconds:.1} s", title(course), report.runs);
        columns.push((course, report, u64::from(failure.is_some())));
        failures.extend(failure.map(|failure| (course, failure)));
    }
    table(&columns);
    let mut sum = Report::default();
    columns.iter().for_each(|(_, report, _)| sum.add(report));
    for refusal in sum.never_refused() {
        println!("nothing was refused as {}", refusal.as_str());
    }
    // Whatever a setup is said to do it must have done.
    let never = |fault: &Fault| {
        let knows = columns.iter().any(|(course, _, _)| course.knows(*fault));
        knows && sum.fault(*fault) == 0
    };
    for fault in Fault::ALL.into_iter().filter(never) {
        println!("it never came to this: {}", fault.as_str());
    }
    for (course, failure) in &failures {
        let title = title(*course);
        println!("\n{title}: seed {}: {}", failure.seed, failure.text);
        println!("    {}", options.again(*course, failure.seed));
    }
    failures.is_empty()
}

/// Prints reports side by side, each with the number of its violations.
pub(crate) fn table(columns: &[(Course, Report, u64)]) {
    let line = |name: &str, cells: Vec<String>| println!("| {name} | {} |", cells.join(" | "));
    let each = |cell: &dyn Fn(&(Course, Report, u64)) -> String| columns.iter().map(cell).collect();
    line("", each(&|(course, _, _)| title(*course)));
    println!("|---|{}", "---:|".repeat(columns.len()));
    for (at, (name, _)) in Report::default().rows().iter().enumerate() {
        line(name, each(&|(_, report, _)| report.rows()[at].1.clone()));
    }
    line(
        "violations",
        each(&|(_, _, violations)| violations.to_string()),
    );
}

/// Few seeds, then more, then all: where a loss shows is found before much time is spent elsewhere.
fn parts(all: Range<u64>) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let (mut from, mut length) = (all.start, 50);
    while from < all.end {
        let to = all.end.min(from + length);
        parts.push(from..to);
        (from, length) = (to, length * 3);
    }
    parts
}

fn try_mutants(options: &Options) -> bool {
    let mut survivors = Vec::new();
    println!("| rule taken out | setup | first failing seed | what was noticed |");
    println!("|---|---|---:|---|");
    for rule in rules(options) {
        let places = places(rule, options);
        let hunt = |part: &Range<u64>| {
            places.iter().find_map(|course| {
                let (_, failure, _) = batch(*course, options, part.clone(), Some(rule));
                failure.map(|failure| (*course, failure))
            })
        };
        let killed = parts(seeds(options)).iter().find_map(hunt);
        let name = rule.name();
        match killed {
            Some((course, failure)) => println!(
                "| {name} | {} | {} | {} |",
                title(course),
                failure.seed,
                failure.text
            ),
            None => {
                println!("| {name} | | | nothing |");
                survivors.push(name);
            }
        }
    }
    for name in &survivors {
        println!("\n{name} survived {} seeds of each setup", options.seeds);
    }
    survivors.is_empty()
}

/// What is taken out in turn: all of the engine, or what is named. The rules of the scripts have claims
/// that notice, and are tried with these.
fn rules(options: &Options) -> Vec<Rule> {
    match options.mutant {
        Some(rule) => vec![rule],
        None => {
            let of_mesh = options.store.is_some_and(Shared::is_mesh);
            let of_mesh = Mutant::MESH
                .into_iter()
                .chain(Mutant::MESH_NODES)
                .filter(|_| of_mesh);
            let all = Mutant::ALL.into_iter().chain(of_mesh);
            all.map(Rule::Engine).collect()
        }
    }
}

/// Where its loss may be noticed.
fn places(rule: Rule, options: &Options) -> Vec<Course> {
    let mut courses = options.courses();
    if let Rule::Script(_) = rule {
        courses.retain(|course| course.store() == Shared::Redis);
    }
    courses
}

fn replay(seed: u64, options: &Options) -> bool {
    let _out = take_out(options.mutant);
    let mut passed = true;
    for course in options.courses() {
        let journal = Journal::with_text();
        let outcome = course.run(seed, &journal);
        println!("{}, seed {seed}", title(course));
        for line in journal.lines() {
            println!("{line}");
        }
        match outcome {
            Ok(report) => println!("{report}"),
            Err(text) => {
                println!("{}: seed {seed}: {text}\n", title(course));
                passed = false;
            }
        }
    }
    passed
}
