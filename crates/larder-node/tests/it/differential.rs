//! The same random commands to this node and to a Redis 7 server: the replies must be the same.
//!
//! Left out are commands whose replies are not determined: `SCAN` in several steps, `RANDOMKEY`,
//! `INFO`, `TIME`, `CLIENT ID` and its kin; and `DBSIZE`, which counts dead keys in Redis until
//! somebody meets them. Times that are left may differ by a little, because the
//! servers get a command at different moments, and lists of keys by their order.

mod generate;

use larder_resp::Reply;
use larder_testkit::servers::{RedisOptions, RedisServer};

use crate::node::Node;
use crate::wire::{Wire, encode};
use generate::{Check, Command, Generator};

/// Commands per protocol, in batches that are sent in one write.
const COMMANDS: usize = 12_000;
const BATCH: usize = 40;

/// So that both have the same limits, and small ones.
const LIMIT: &str = "1048576";

fn seed() -> u64 {
    match std::env::var("LARDER_SEED") {
        Ok(seed) => seed.parse().expect("LARDER_SEED is a number"),
        Err(_) => u64::from(std::process::id()) << 32 | 0x5eed,
    }
}

#[test]
fn random_commands_have_the_replies_of_redis_in_resp2() {
    compare("2", &[], COMMANDS);
}

#[test]
fn random_commands_have_the_replies_of_redis_in_resp3() {
    compare("3", &[], COMMANDS);
}

#[test]
fn random_commands_have_the_same_replies_with_a_server_behind_the_node() {
    behind(&["--near-size", "0"]);
}

#[test]
fn random_commands_have_the_same_replies_with_near_copies() {
    behind(&["--near-size", "8MiB"]);
}

/// The same with the values of the node on a server of its own.
fn behind(flags: &[&str]) {
    let Some(store) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let url = store.url();
    let flags: Vec<&str> = ["--url", &url].iter().chain(flags).copied().collect();
    compare("3", &flags, COMMANDS / 2);
}

fn compare(protocol: &str, flags: &[&str], commands: usize) {
    let options = RedisOptions::new().args(["--proto-max-bulk-len", LIMIT]);
    let Some(redis) = RedisServer::start_or_skip(options) else {
        return;
    };
    let limit = ["--resp-max-value", LIMIT];
    let flags: Vec<&str> = limit.iter().chain(flags).copied().collect();
    let node = Node::start(&flags, &[]);
    let seed = seed();
    // Shown when the test fails: LARDER_SEED repeats the run.
    println!("seed {seed}");
    let mut generator = Generator::new(seed);
    let theirs = ([127, 0, 0, 1], redis.port()).into();
    let mut wires = [Wire::connect(theirs), Wire::connect(node.resp)];
    for wire in &mut wires {
        wire.call(&["HELLO", protocol]);
    }
    let mut differences = Vec::new();
    for batch in 0..commands / BATCH {
        let commands: Vec<Command> = std::iter::repeat_with(|| generator.command())
            .filter(|command| flags.len() == limit.len() || !is_far(command))
            .take(BATCH)
            .collect();
        let bytes = encode(commands.iter().map(|command| &command.words));
        for wire in &mut wires {
            wire.send(&bytes);
        }
        for (index, command) in commands.iter().enumerate() {
            let [theirs, ours] = &mut wires;
            let (theirs, ours) = (theirs.reply(), ours.reply());
            if !is_same(command.check, &theirs, &ours) {
                differences.push(format!(
                    "batch {batch}, command {index}: {command}\n  Redis  {:.400}\n  \
                     Larder {:.400}\n  before it:\n{}",
                    format!("{theirs:?}"),
                    format!("{ours:?}"),
                    history(&commands[..index])
                ));
            }
        }
        // One difference leads to others; the first few say enough.
        assert!(
            differences.is_empty(),
            "seed {seed}, protocol {protocol}\n{}",
            differences.join("\n")
        );
    }
}

/// Whether a command names a time that a server behind the node cuts short: scripts calculate with
/// numbers up to 2^53.
fn is_far(command: &Command) -> bool {
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<i128>().ok();
    let mut numbers = command
        .words
        .iter()
        .filter_map(|word| number(word.as_ref()));
    numbers.any(|number| number.abs() > 9_000_000_000_000)
}

fn history(commands: &[Command]) -> String {
    commands
        .iter()
        .map(|command| format!("    {command}\n"))
        .collect()
}

fn is_same(check: Check, theirs: &Reply, ours: &Reply) -> bool {
    match (check, theirs, ours) {
        (Check::Time(slack), Reply::Integer(theirs), Reply::Integer(ours))
            if *theirs > 0 && *ours > 0 =>
        {
            theirs.abs_diff(*ours) <= slack
        }
        (Check::Sorted, _, _) => sorted(theirs) == sorted(ours),
        _ => theirs == ours,
    }
}

/// A reply whose innermost lists are in order.
fn sorted(reply: &Reply) -> Reply {
    match reply {
        Reply::Array(items) => {
            let mut items: Vec<Reply> = items.iter().map(sorted).collect();
            if items.iter().all(|item| matches!(item, Reply::Bulk(_))) {
                items.sort_by_key(|item| format!("{item:?}"));
            }
            Reply::Array(items)
        }
        other => other.clone(),
    }
}
