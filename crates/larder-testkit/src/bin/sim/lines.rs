//! Batches in parts, each with a line of its sums: what has been printed counts, even if the rest is
//! never run, and lines of many runs can be added up.

use std::collections::BTreeMap;
use std::fs;

use larder_testkit::sim::{Course, Report, Shared};

use crate::options::Options;
use crate::{batch, table, title};

/// Runs every batch part by part, and prints a line after each.
pub(crate) fn run(options: &Options, step: u64) -> bool {
    let mut passed = true;
    let end = options.from.saturating_add(options.seeds);
    for course in options.courses() {
        let mut from = options.from;
        while from < end {
            let to = end.min(from.saturating_add(step));
            let (report, failure, seconds) = batch(course, options, from..to, options.mutant);
            println!(
                "setup={}\tstore={}\tfrom={from}\tto={to}\tseconds={seconds:.1}\tviolations={}\t{}",
                course.name,
                course.store().as_str(),
                u8::from(failure.is_some()),
                report.line()
            );
            if let Some(failure) = failure {
                println!("seed {}: {}", failure.seed, failure.text);
                println!("    {}", options.again(course, failure.seed));
                passed = false;
            }
            from = to;
        }
    }
    passed
}

/// Adds up the lines of a file, and prints the sums side by side.
pub(crate) fn sum(path: &str) -> Result<bool, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let mut sums: BTreeMap<String, (Course, Report, u64)> = BTreeMap::new();
    let mut seen: Vec<(String, u64, u64)> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("setup=")) {
        let word = |name: &str| {
            let words = line.split('\t').filter_map(|word| word.split_once('='));
            let mut found = words.filter(|(key, _)| *key == name);
            found.next().map_or("", |(_, value)| value)
        };
        let number = |name: &str| {
            let number = word(name).parse::<u64>();
            number.map_err(|_| format!("{name} is no number in: {line}"))
        };
        let course = Course::named(word("setup")).zip(Shared::named(word("store")));
        let Some((course, store)) = course else {
            return Err(format!("of an unknown setup: {line}"));
        };
        let course = course.on(store);
        let (from, to) = (number("from")?, number("to")?);
        let overlaps = |other: &&(String, u64, u64)| {
            other.0 == title(course) && from < other.2 && other.1 < to
        };
        if seen.iter().any(|other| overlaps(&other)) {
            return Err(format!("some seeds are there twice: {line}"));
        }
        seen.push((title(course), from, to));
        let sum = sums.entry(title(course));
        let (_, sum, violations) = sum.or_insert_with(|| (course, Report::default(), 0));
        sum.add(&Report::read(line));
        *violations += number("violations")?;
    }
    let columns: Vec<_> = sums.into_values().collect();
    table(&columns);
    Ok(columns.iter().all(|(_, _, violations)| *violations == 0))
}
