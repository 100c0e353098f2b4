//! What is promised, and whether it holds.

use super::course::{Course, Stretch};
use super::reader::HARD;

/// Calls of the source, beside those of the steady time.
const SOURCE: f64 = 3.0;
/// Commands to the server for each read that is offered.
const COMMANDS: f64 = 1.2;
/// Within so many seconds the breakers are open, and closed again.
const OPEN: f64 = 1.0;
const CLOSED: f64 = 5.0;
/// What the machine may add to the hard timeout, in microseconds: a reader is told by a timer and then
/// needs a processor.
const SLACK: u64 = 100_000;
/// Reads that are still on their way at the end.
const ON_THE_WAY: f64 = 0.5;

/// Prints all figures; tells whether all promises hold.
pub(super) fn hold(course: &Course) -> bool {
    let steady = course.stretch(course.steady, course.killed);
    let away = course.stretch(course.killed, course.returned);
    let after = course.stretch(course.returned, course.ended);
    println!(
        "| time | seconds | reads | errors | stale | source calls | a second | worst second | \
         longest read, ms |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let worst = |from, to| course.worst_second(from, to);
    let (kill, back) = (course.killed, course.returned);
    print("steady", &steady, worst(course.steady, kill));
    print("away", &away, worst(kill, back));
    print("after", &after, worst(back, course.ended));
    println!("| promise | measured | |");
    println!("|---|---:|---|");
    let rate = steady.source_rate();
    let (away_rate, after_rate) = (away.source_rate() / rate, after.source_rate() / rate);
    let longest = steady.longest.max(away.longest).max(after.longest);
    let hard = HARD.as_micros() as u64;
    let in_second = course.commands_after.windows(2).map(|pair| {
        let offered = course.stretch(pair[0].0, pair[1].0).offered;
        (pair[1].1 - pair[0].1) as f64 / offered.max(1) as f64
    });
    let worst_commands = in_second.fold(0.0, f64::max);
    let commands = course.commands_steady as f64 / steady.offered as f64;
    let opened = course.breakers(course.killed, |state| state != 0);
    let closed = course.breakers(course.returned, |state| state == 0);
    let on_the_way = steady.offered as f64 / steady.seconds * ON_THE_WAY;
    let claims = [
        claim("source calls while away, × steady", away_rate, SOURCE),
        claim(
            "source calls after the return, × steady",
            after_rate,
            SOURCE,
        ),
        claim(
            "longest read, ms",
            longest as f64 / 1e3,
            (hard + SLACK) as f64 / 1e3,
        ),
        claim(
            "reads without an answer",
            course.unanswered() as f64,
            on_the_way,
        ),
        claim(
            "breakers open, s after the kill",
            opened.unwrap_or(f64::INFINITY),
            OPEN,
        ),
        claim(
            "breakers closed, s after the return",
            closed.unwrap_or(f64::INFINITY),
            CLOSED,
        ),
        claim("commands for a read, steady", commands, COMMANDS),
        claim(
            "commands for a read, worst second after the return",
            worst_commands,
            COMMANDS,
        ),
    ];
    claims.iter().all(|holds| *holds)
}

fn print(name: &str, stretch: &Stretch, worst: u64) {
    println!(
        "| {name} | {:.1} | {} | {} | {} | {} | {:.0} | {worst} | {:.1} |",
        stretch.seconds,
        stretch.offered,
        stretch.errors,
        stretch.stale,
        stretch.source,
        stretch.source_rate(),
        stretch.longest as f64 / 1e3,
    );
}

fn claim(what: &str, measured: f64, most: f64) -> bool {
    let holds = measured <= most;
    let word = if holds { "holds" } else { "**does not hold**" };
    println!("| {what}: at most {most:.1} | {measured:.2} | {word} |");
    holds
}
