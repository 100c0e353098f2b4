//! The simulated Redis compared with a real one, from the command line: many sequences, or one.
//!
//! `cargo xtask compare` builds this in release mode and passes its arguments on. It ends with 1 when
//! the two differed, and with 2 when it was called in a wrong way.

#![allow(
    clippy::disallowed_methods,
    reason = "how long a batch takes is told in real time"
)]

use std::process::ExitCode;
use std::time::Instant;

use larder_testkit::differential::{self, Summary};

const USAGE: &str = "\
usage: cargo xtask compare [--sequences N] [--from S]

    --sequences N    how many random sequences; 10000 unless told
    --from S         the seed of the first of them; 0 unless told
";

fn main() -> ExitCode {
    let (sequences, from) = match parse(std::env::args().skip(1)) {
        Ok(numbers) => numbers,
        Err(message) => {
            eprintln!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let step = (sequences / 20).max(1);
    let progress = |summary: &Summary| {
        let done = summary.sequences + summary.abandoned;
        if done.is_multiple_of(step) {
            eprintln!("{done} of {sequences} sequences");
        }
    };
    let seeds = from..from.saturating_add(sequences);
    let (summary, difference) = differential::run(seeds, &progress);
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
    println!("sequences compared to their end: {}", summary.sequences);
    println!(
        "abandoned, because a life may have ended meanwhile: {}",
        summary.abandoned
    );
    println!("commands compared: {}", summary.commands);
    println!("script calls among them: {}", summary.scripts);
    println!("answers that were errors: {}", summary.errors);
    println!("messages compared: {}", summary.messages);
    println!("differences: {}", u8::from(difference.is_some()));
    let Some(difference) = difference else {
        return ExitCode::SUCCESS;
    };
    println!("\n{}", difference.text);
    println!(
        "\n    cargo xtask compare --sequences 1 --from {}",
        difference.seed
    );
    ExitCode::FAILURE
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<(u64, u64), String> {
    let (mut sequences, mut from) = (10_000, 0);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        let number = value.parse::<u64>();
        let number = number.map_err(|_| format!("{word}: {value} is no number"))?;
        match word.as_str() {
            "--sequences" => sequences = number,
            "--from" => from = number,
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok((sequences, from))
}
