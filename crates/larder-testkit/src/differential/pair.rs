//! The two servers, and one step on both.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use larder_resp::Reply;
use tokio::sync::mpsc;

use super::client::{Client, bytes};
use super::compare::{self, same, same_end};
use crate::servers::{RedisServer, until};
use crate::simredis::{SimRedis, Writes};

/// Why a sequence ends before its last step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The servers differ.
    Differs(String),
    /// A life may have ended in the middle of a command.
    Abandoned,
}

/// How near to the end of a life no command is sent, in milliseconds.
const NEAR: i64 = 3;
/// A command that takes longer ends its sequence, in microseconds.
const SLOW: i64 = 20_000;
/// Steps that are shown with a difference.
const SHOWN: usize = 60;
/// Calls of scripts that are kept.
const CALLS: usize = 32;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) commands: u64,
    pub(super) scripts: u64,
    pub(super) errors: u64,
    pub(super) messages: u64,
}

pub(super) struct Pair {
    pub(super) real: Client,
    pub(super) listener: Client,
    sequence: Option<Sequence>,
    run_id: String,
    port: u16,
}

/// What belongs to one sequence.
pub(super) struct Sequence {
    simulated: SimRedis,
    pub(super) messages: mpsc::Receiver<Bytes>,
    /// The real server's clock when it was last asked, in microseconds.
    now_us: i64,
    /// By how much the time that scripts are told differs from it.
    skew_us: i64,
    /// The longest time that a command may have lost against the simulated clock.
    drift_us: i64,
    /// The texts of scripts by the hash that clients know.
    texts: HashMap<Bytes, Bytes>,
    calls: Vec<Vec<Bytes>>,
    story: Vec<String>,
    pub(super) tally: Tally,
    halt: Option<Halt>,
}

/// Where Larder's stores publish.
pub(super) const CHANNEL: &str = "\0slog:0";

impl Pair {
    pub(super) fn new(server: &RedisServer) -> Pair {
        let mut real = Client::connect(server.port());
        let mut listener = Client::connect(server.port());
        listener.words(&["SUBSCRIBE", CHANNEL]);
        let info = real.words(&["INFO", "server"]);
        let Reply::Bulk(info) = info else {
            panic!("INFO gives text");
        };
        let info = String::from_utf8_lossy(&info).into_owned();
        let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        Pair {
            run_id: run_id.expect("a server has a run id").to_owned(),
            real,
            listener,
            sequence: None,
            port: server.port(),
        }
    }

    /// Empties the real server and begins a sequence with this simulated one.
    pub(super) fn begin(&mut self, simulated: SimRedis, skew_us: i64) {
        self.real.words(&["REPLICAOF", "NO", "ONE"]);
        for (setting, value) in [("maxmemory", "0"), ("min-replicas-to-write", "0")] {
            self.real.words(&["CONFIG", "SET", setting, value]);
        }
        self.real.words(&["FLUSHALL"]);
        self.real.words(&["SCRIPT", "FLUSH"]);
        self.forget_messages();
        simulated.set_run_id(&self.run_id);
        let messages = simulated.subscribe(CHANNEL.as_bytes());
        let now_us = time(&self.real.words(&["TIME"]));
        simulated.set_clock(now_us);
        self.sequence = Some(Sequence {
            simulated,
            messages,
            now_us,
            skew_us,
            drift_us: 0,
            texts: HashMap::new(),
            calls: Vec::new(),
            story: Vec::new(),
            tally: Tally::default(),
            halt: None,
        });
    }

    pub(super) fn sequence(&mut self) -> &mut Sequence {
        self.sequence.as_mut().expect("a sequence has begun")
    }

    pub(super) fn tally(&self) -> Tally {
        self.sequence
            .as_ref()
            .map_or_else(Tally::default, |sequence| sequence.tally)
    }

    /// Why the sequence cannot go on.
    pub(super) fn halted(&self) -> Option<Halt> {
        self.sequence
            .as_ref()
            .and_then(|sequence| sequence.halt.clone())
    }

    /// Calls of scripts that were made so far.
    pub(super) fn calls(&mut self) -> &[Vec<Bytes>] {
        &self.sequence().calls
    }

    /// Keys that are there now.
    pub(super) fn keys(&mut self) -> Vec<Bytes> {
        self.sequence().simulated.keys()
    }

    /// Runs what a store asks, and keeps calls of scripts.
    pub(super) fn run_for_store(&mut self, args: &[Bytes]) -> Option<Reply> {
        let reply = self.run(args)?;
        let sequence = self.sequence();
        let text = match &args[0][..] {
            b"EVAL" => Some(args[1].clone()),
            b"EVALSHA" => sequence.texts.get(&args[1]).cloned(),
            _ => None,
        };
        if let Some(text) = text.filter(|_| sequence.calls.len() < CALLS) {
            let mut call = args.to_vec();
            call[0] = bytes("EVAL");
            call[1] = text;
            sequence.calls.push(call);
        }
        Some(reply)
    }

    /// Runs one command on both; gives what both answered. After a [`Halt`] there are no answers.
    pub(super) fn run(&mut self, args: &[Bytes]) -> Option<Reply> {
        if self.sequence().halt.is_some() {
            return None;
        }
        match self.try_run(args) {
            Ok(reply) => Some(reply),
            Err(halt) => {
                self.sequence().halt = Some(halt);
                None
            }
        }
    }

    fn try_run(&mut self, args: &[Bytes]) -> Result<Reply, Halt> {
        let name = args[0].to_ascii_uppercase();
        match &name[..] {
            // Answers of one server mean nothing to the other: an order of keys, a moment.
            b"SCAN" | b"RANDOMKEY" | b"TIME" => Ok(self.sequence().on_simulated(args)),
            _ => {
                let sent = self.sequence().translate(&name, args);
                self.step(args, &sent)
            }
        }
    }

    fn step(&mut self, args: &[Bytes], sent: &[Bytes]) -> Result<Reply, Halt> {
        self.wait_for_ends();
        let ask_time = vec![bytes("TIME")];
        let replies = self.real.ask(&[ask_time.clone(), sent.to_vec(), ask_time]);
        let (before, after) = (time(&replies[0]), time(&replies[2]));
        let sequence = self.sequence();
        let ends = sequence.simulated.ends();
        sequence.now_us = after;
        sequence.drift_us = sequence.drift_us.max(after - before);
        let is_near = |end: &i64| (before / 1_000 - NEAR..after / 1_000 + NEAR).contains(end);
        if sequence.drift_us > SLOW || ends.iter().any(is_near) {
            return Err(Halt::Abandoned);
        }
        sequence.simulated.set_clock(before);
        let simulated = sequence.on_simulated(sent);
        let real = &replies[1];
        sequence.tally.commands += 1;
        sequence.tally.errors += u64::from(matches!(real, Reply::Error(_)));
        let line = format!("{} -> {}", compare::command(args), compare::reply(real));
        sequence.story.push(line);
        // Of what a script says of a short life nobody can tell that it is one; of these, always.
        let ends: [&[u8]; 2] = [b"PEXPIRETIME", b"PTTL"];
        let is_end = ends.iter().any(|end| args[0].eq_ignore_ascii_case(end));
        let same = if is_end { same_end } else { same };
        if !same(real, &simulated, sequence.slack_ms()) {
            let simulated = compare::reply(&simulated);
            return Err(sequence.differs(&format!("the simulated server answers {simulated}")));
        }
        Ok(simulated)
    }

    /// The ends of lives, and how late it was when that was known last.
    pub(super) fn lives(&mut self) -> (Vec<i64>, i64) {
        let sequence = self.sequence();
        (sequence.simulated.ends(), sequence.now_us / 1_000)
    }

    /// Whether any of these lives may have ended since.
    pub(super) fn may_have_ended(&mut self, (ends, since): &(Vec<i64>, i64)) -> bool {
        let now = time(&self.real.words(&["TIME"])) / 1_000;
        let near = NEAR + self.sequence().slack_ms();
        let is_over = |end: &i64| (since - near..=now + near).contains(end);
        ends.iter().any(is_over)
    }

    /// Waits while the end of a life is near.
    pub(super) fn wait_for_ends(&mut self) {
        let sequence = self.sequence.as_mut().expect("a sequence has begun");
        let near = NEAR + sequence.slack_ms();
        let real = &mut self.real;
        let waited = until(Duration::from_secs(60), "the end of a life", || {
            let now = sequence.now_us / 1_000;
            let ends = sequence.simulated.ends();
            let is_over = !ends
                .iter()
                .any(|end| (now - near..=now + near).contains(end));
            if !is_over {
                sequence.now_us = time(&real.words(&["TIME"]));
                // Then the simulated server forgets what is over.
                sequence.simulated.set_clock(sequence.now_us);
            }
            is_over
        });
        waited.expect("clocks go on");
    }
}

/// What happens to both servers alike.
impl Pair {
    pub(super) fn set_writes(&mut self, writes: Writes) {
        let closed = (self.port ^ 1).to_string();
        let (replica_of, replicas) = match writes {
            Writes::Allowed => (["NO", "ONE"], "0"),
            Writes::Replica => (["127.0.0.1", closed.as_str()], "0"),
            Writes::NoReplicas => (["NO", "ONE"], "1"),
        };
        self.real
            .words(&["REPLICAOF", replica_of[0], replica_of[1]]);
        let setting = "min-replicas-to-write";
        self.real.words(&["CONFIG", "SET", setting, replicas]);
        let sequence = self.sequence();
        sequence.simulated.set_writes(writes);
        sequence.story.push(format!("writes: {writes:?}"));
    }

    pub(super) fn set_full(&mut self, is_full: bool) {
        let most = if is_full { "1" } else { "0" };
        self.real.words(&["CONFIG", "SET", "maxmemory", most]);
        let sequence = self.sequence();
        sequence.simulated.set_full(is_full);
        sequence.story.push(format!("full: {is_full}"));
    }

    /// Takes keys away behind the back of whoever uses them.
    pub(super) fn lose(&mut self, keys: &[Bytes]) {
        self.set_writes(Writes::Allowed);
        for key in keys {
            self.real.ask(&[vec![bytes("DEL"), key.clone()]]);
        }
        let sequence = self.sequence();
        sequence
            .simulated
            .evict(|key| keys.iter().any(|lost| lost == key));
        sequence
            .story
            .push(format!("lost: {}", compare::command(keys)));
    }
}

impl Sequence {
    pub(super) fn slack_ms(&self) -> i64 {
        self.drift_us / 1_000 + 2
    }

    pub(super) fn on_simulated(&self, args: &[Bytes]) -> Reply {
        let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
        self.simulated.run(&args)
    }

    pub(super) fn differs(&self, what: &str) -> Halt {
        let story = &self.story[self.story.len().saturating_sub(SHOWN)..];
        Halt::Differs(format!("{}\n   => {what}", story.join("\n")))
    }

    /// The call with the time in it, if it calls a script.
    fn translate(&mut self, name: &[u8], args: &[Bytes]) -> Vec<Bytes> {
        let known = match name {
            b"EVAL" if args.len() > 2 => {
                self.texts.insert(hash(&args[1]), args[1].clone());
                Some(args[1].clone())
            }
            b"EVALSHA" if args.len() > 2 => self.texts.get(&args[1]).cloned(),
            b"SCRIPT" if args.len() > 1 && args[1].eq_ignore_ascii_case(b"flush") => {
                self.texts.clear();
                None
            }
            _ => None,
        };
        let Some(text) = known else {
            return args.to_vec();
        };
        self.tally.scripts += 1;
        let text = with_time(&text);
        let now = self.now_us + self.skew_us;
        let mut call = args.to_vec();
        call[1] = if name == b"EVAL" { text } else { hash(&text) };
        let part = |number: i64| bytes(&number.to_string());
        call.push(part(now.div_euclid(1_000_000)));
        call.push(part(now.rem_euclid(1_000_000)));
        call
    }
}

/// The same script, which takes the time from its last two arguments; its lines keep their numbers.
fn with_time(text: &[u8]) -> Bytes {
    const TAKE: &str = "local CLOCK = {ARGV[#ARGV - 1], ARGV[#ARGV]} \
                        ARGV[#ARGV] = nil ARGV[#ARGV] = nil ";
    let text = String::from_utf8_lossy(text);
    let told = text.replace("redis.call('TIME')", "CLOCK");
    assert!(
        !told.contains("'TIME'"),
        "a script asks for the time in another way: {text}"
    );
    bytes(&format!("{TAKE}{told}"))
}

fn hash(text: &[u8]) -> Bytes {
    bytes(&sha1_smol::Sha1::from(text).digest().to_string())
}

/// The answer to `TIME` in microseconds.
fn time(reply: &Reply) -> i64 {
    let number = |part: &Reply| match part {
        Reply::Bulk(text) => std::str::from_utf8(text).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    let parts: Option<Vec<i64>> = match reply {
        Reply::Array(parts) => parts.iter().map(number).collect(),
        _ => None,
    };
    match parts.as_deref() {
        Some([seconds, micros]) => seconds * 1_000_000 + micros,
        _ => panic!("TIME gives two numbers: {}", compare::reply(reply)),
    }
}
