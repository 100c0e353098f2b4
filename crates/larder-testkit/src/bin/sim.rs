//! The simulation from the command line: many seeds, one seed with its story, or the mutants.
//!
//! `cargo xtask sim` builds this in release mode and passes its arguments on. It ends with 1 when
//! a promise was broken or a mutant survived, and with 2 when it was called in a wrong way.

#![allow(
    clippy::disallowed_methods,
    reason = "how long a batch takes is told in real time"
)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use larder_core::mutant::Mutant;
use larder_testkit::sim::{
    Beyond, COURSES, Course, Failure, Fault, Journal, Report, Rule, Shared, take_out,
};
use larder_testkit::simredis::mutants::{Noticed, ScriptMutant};

const USAGE: &str = "\
usage: cargo xtask sim [--seeds N] [--from S] [--setup NAME] [--store NAME] [--mutant NAME]
       cargo xtask sim --seed S [--setup NAME] [--store NAME] [--mutant NAME]
       cargo xtask sim --mutants [--seeds N] [--store NAME]

    --seeds N        how many seeds of each setup; 1000 unless told
    --from S         the first of them; 0 unless told
    --setup NAME     races, calm, stormy or chaotic; all of them unless told
    --store NAME     embedded, or redis, the simulated one; both unless told
    --rewinds        servers also return from old dumps and are replaced by lagging replicas
    --repeats        servers also forget their versions while their clock repeats itself
    --seed S         one seed, with a line for everything that happens
    --mutant NAME    takes a rule out of the engine
    --mutants        takes out one rule after the other; each must be noticed
";

struct Options {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    course: Option<Course>,
    store: Option<Shared>,
    mutant: Option<Rule>,
    mutants: bool,
    beyond: Beyond,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let passed = match options.seed {
        Some(seed) => replay(seed, &options),
        None if options.mutants => try_mutants(&options),
        None => try_seeds(&options),
    };
    ExitCode::from(u8::from(!passed))
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        seeds: 1_000,
        from: 0,
        seed: None,
        course: None,
        store: None,
        mutant: None,
        mutants: false,
        beyond: Beyond::default(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--mutants" => {
                options.mutants = true;
                continue;
            }
            "--rewinds" => {
                options.beyond.rewinds = true;
                continue;
            }
            "--repeats" => {
                options.beyond.repeats = true;
                continue;
            }
            _ => {}
        }
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        let number = || {
            let number = value.parse::<u64>();
            number.map_err(|_| format!("{word}: {value} is no number"))
        };
        match word.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--seed" => options.seed = Some(number()?),
            "--setup" => {
                let course = Course::named(&value);
                options.course = Some(course.ok_or(format!("there is no setup {value}"))?);
            }
            "--store" => {
                let store = Shared::named(&value);
                options.store = Some(store.ok_or(format!("there is no store {value}"))?);
            }
            "--mutant" => {
                let rule = Rule::named(&value);
                options.mutant = Some(rule.ok_or(format!("there is no mutant {value}"))?);
            }
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(options)
}

/// What is to be run: every setup over every store, unless told.
fn courses(options: &Options) -> Vec<Course> {
    let courses = options.course.map_or(COURSES.to_vec(), |one| vec![one]);
    let stores = options.store.map_or(Shared::ALL.to_vec(), |one| vec![one]);
    let over = |store| courses.iter().map(move |course| course.on(store));
    let all = stores.into_iter().flat_map(over);
    all.map(|course| course.with(options.beyond)).collect()
}

/// Setup and store, for people.
fn title(course: Course) -> String {
    format!("{}, {}", course.name, course.store().as_str())
}

/// The command line that runs one seed again.
fn again(course: Course, seed: u64, options: &Options) -> String {
    let mutant = options.mutant;
    let mutant = mutant.map_or_else(String::new, |rule| format!(" --mutant {}", rule.name()));
    let Beyond { rewinds, repeats } = options.beyond;
    let beyond = [(rewinds, " --rewinds"), (repeats, " --repeats")];
    let beyond = beyond.map(|(is_on, word)| if is_on { word } else { "" });
    format!(
        "cargo xtask sim --seed {seed} --setup {} --store {}{}{mutant}",
        course.name,
        course.store().as_str(),
        beyond.concat()
    )
}

/// Runs one batch, telling how far it is where somebody watches.
fn batch(
    course: Course,
    options: &Options,
    mutant: Option<Rule>,
) -> (Report, Option<Failure>, f64) {
    let (seeds, is_watched) = (options.seeds, std::io::stderr().is_terminal());
    let (done, start) = (AtomicU64::new(0), Instant::now());
    // Twenty lines for a whole batch, or a line that is written over and over.
    let step = if is_watched { 25 } else { (seeds / 20).max(1) };
    let progress = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(step) && mutant.is_none() {
            let end = if is_watched { '\r' } else { '\n' };
            eprint!("{}: {done} of {seeds} seeds{end}", title(course));
            let _ = std::io::stderr().flush();
        }
    };
    let seeds = options.from..options.from.saturating_add(seeds);
    let (report, failure) = course.run_all_without(seeds, mutant, &progress);
    (report, failure, start.elapsed().as_secs_f64())
}

fn try_seeds(options: &Options) -> bool {
    let mut columns = Vec::new();
    let mut failures = Vec::new();
    for course in courses(options) {
        let (report, failure, seconds) = batch(course, options, options.mutant);
        eprintln!("{}: {} seeds in {seconds:.1} s", title(course), report.runs);
        if let Some(failure) = failure {
            failures.push((course, failure));
        }
        columns.push((course, report));
    }
    table(&columns, &failures);
    let mut sum = Report::default();
    columns.iter().for_each(|(_, report)| sum.add(report));
    for refusal in sum.never_refused() {
        println!("nothing was refused as {}", refusal.as_str());
    }
    // Whatever a setup is said to do it must have done.
    let never = |fault: &Fault| {
        let knows = columns.iter().any(|(course, _)| course.knows(*fault));
        knows && sum.fault(*fault) == 0
    };
    for fault in Fault::ALL.into_iter().filter(never) {
        println!("it never came to this: {}", fault.as_str());
    }
    for (course, failure) in &failures {
        let title = title(*course);
        println!("\n{title}: seed {}: {}", failure.seed, failure.text);
        println!("    {}", again(*course, failure.seed, options));
    }
    failures.is_empty()
}

/// Prints reports side by side.
fn table(columns: &[(Course, Report)], failures: &[(Course, Failure)]) {
    let names: Vec<String> = columns.iter().map(|(course, _)| title(*course)).collect();
    println!("| | {} |", names.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
    for (at, (name, _)) in Report::default().rows().iter().enumerate() {
        let cells: Vec<String> = columns
            .iter()
            .map(|(_, report)| report.rows()[at].1.clone())
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    let broken = |name: &String| {
        let is_of = |(course, _): &&(Course, Failure)| title(*course) == *name;
        failures.iter().filter(is_of).count().to_string()
    };
    let cells: Vec<String> = names.iter().map(broken).collect();
    println!("| violations | {} |", cells.join(" | "));
}

fn try_mutants(options: &Options) -> bool {
    let mut survivors = Vec::new();
    println!("| rule taken out | setup | first failing seed | what was noticed |");
    println!("|---|---|---:|---|");
    for rule in rules(options) {
        let killed = places(rule, options).into_iter().find_map(|course| {
            let (_, failure, _) = batch(course, options, Some(rule));
            failure.map(|failure| (course, failure))
        });
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

/// What is taken out in turn: of the scripts what the simulation is to notice, or what is named.
fn rules(options: &Options) -> Vec<Rule> {
    if let Some(rule) = options.mutant {
        return vec![rule];
    }
    let engine = Mutant::ALL.into_iter().map(Rule::Engine);
    let is_run = options.store != Some(Shared::Embedded);
    let is_hunted = |mutant: &&ScriptMutant| is_run && matches!(mutant.noticed, Noticed::Setup(_));
    let scripts = ScriptMutant::all().filter(is_hunted).map(Rule::Script);
    engine.chain(scripts).collect()
}

/// Where its loss may be noticed.
fn places(rule: Rule, options: &Options) -> Vec<Course> {
    let mut courses = courses(options);
    if let Rule::Script(_) = rule {
        courses.retain(|course| course.store() == Shared::Redis);
    }
    courses
}

fn replay(seed: u64, options: &Options) -> bool {
    let _out = take_out(options.mutant);
    let mut passed = true;
    for course in courses(options) {
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
