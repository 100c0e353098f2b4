//! The simulated Redis ([`crate::simredis`]) compared with a real one: random sequences of commands
//! and script calls run on both, and every answer, every message and what is left at the end must
//! be the same.
//!
//! A third of the steps are operations of Larder's own stores, so that the scripts are called as
//! they are called in production, whatever they take; the calls are kept and called again with
//! arguments changed at random. The others are commands with random arguments, from outside and
//! from within scripts, and things that happen to a server.
//!
//! # Time
//!
//! Both must see one clock. A script is told the time by the test, which puts it in the place of
//! the call of `TIME`. Lives end by the servers' own clocks: before each command the simulated one
//! is set to what the real one says, and no command is sent while a life is just about to end. A
//! command that took so long that a life may have ended meanwhile proves nothing: its sequence is
//! abandoned, and counted as such. What is left of a life may differ by as long as a command took.

mod client;
mod commands;
mod compare;
mod holdings;
mod operations;
mod pair;
mod sequence;
mod snippets;
mod tee;

use std::ops::Range;

use crate::servers::{RedisOptions, RedisServer};

use pair::Pair;

/// What sequences amounted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sequences that ran to their end on both servers.
    pub sequences: u64,
    /// Sequences that were abandoned because a life may have ended in the middle of a command.
    pub abandoned: u64,
    /// Commands and script calls that were compared.
    pub commands: u64,
    /// Those of them that were script calls.
    pub scripts: u64,
    /// Answers that were errors, the same on both.
    pub errors: u64,
    /// Messages on channels that were compared.
    pub messages: u64,
}

/// A sequence whose two servers differed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The seed of the sequence.
    pub seed: u64,
    /// What differed, after which steps.
    pub text: String,
}

/// Runs a sequence for each seed on a real server of its own, up to the first difference.
/// `progress` is told after each.
///
/// # Panics
///
/// If the real server cannot be started or reached.
pub fn run(seeds: Range<u64>, progress: &dyn Fn(&Summary)) -> (Summary, Option<Difference>) {
    // All hashes in the compact form, which keeps the order of their fields.
    let compact = ["--hash-max-listpack-value", "4096"];
    let server = RedisServer::start(RedisOptions::new().args(compact));
    let mut summary = Summary::default();
    let mut pair = Some(Pair::new(&server));
    for seed in seeds {
        let (back, ended) = sequence::run(seed, pair.take().expect("a sequence gives it back"));
        let tally = back.tally();
        pair = Some(back);
        match ended {
            Ok(()) => summary.sequences += 1,
            Err(pair::Halt::Abandoned) => summary.abandoned += 1,
            Err(pair::Halt::Differs(text)) => return (summary, Some(Difference { seed, text })),
        }
        summary.commands += tally.commands;
        summary.scripts += tally.scripts;
        summary.errors += tally.errors;
        summary.messages += tally.messages;
        progress(&summary);
    }
    (summary, None)
}
