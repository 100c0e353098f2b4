//! The commands: which there are, what may refuse them, and running one.
//!
//! Only those that a cache server may need for Larder, each as Redis 7.0 has it.

mod expiry;
mod hashes;
mod keys;
mod own;
mod ranges;
mod set;
mod streams;
mod strings;

use std::collections::HashMap;
use std::sync::LazyLock;

use larder_resp::Reply;

use super::script;
use super::server::{Failure, Server, Writes};

/// The name of the command, then what follows it.
pub(super) type Args<'a> = [&'a [u8]];

/// What a command gives.
pub(super) type Outcome = Result<Reply, Failure>;

type Run = fn(&mut Server, &Args<'_>) -> Outcome;

/// What a command does to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It reads.
    Reads,
    /// It changes something, but never needs memory for it.
    Writes,
    /// It changes something and may need memory.
    Grows,
    /// It cannot be called by scripts.
    Outside,
}

use Kind::{Grows, Outside, Reads, Writes as Changes};

struct Command {
    name: &'static str,
    /// The number of arguments, the name included; at least so many if it is negative.
    arity: isize,
    kind: Kind,
    run: Run,
}

const fn command(name: &'static str, arity: isize, kind: Kind, run: Run) -> Command {
    Command {
        name,
        arity,
        kind,
        run,
    }
}

static COMMANDS: [Command; 52] = [
    command("append", 3, Grows, strings::append),
    command("client", -2, Outside, own::client),
    command("del", -2, Changes, keys::remove),
    command("echo", 2, Reads, own::echo),
    command("eval", -3, Outside, script::eval),
    command("evalsha", -3, Outside, script::evalsha),
    command("exists", -2, Reads, keys::exists),
    command("expire", -3, Changes, expiry::expire),
    command("expireat", -3, Changes, expiry::expireat),
    command("flushall", -1, Changes, keys::flush),
    command("flushdb", -1, Changes, keys::flush),
    command("get", 2, Reads, strings::get),
    command("getrange", 4, Reads, ranges::getrange),
    command("hdel", -3, Changes, hashes::hdel),
    command("hexists", 3, Reads, hashes::hexists),
    command("hget", 3, Reads, hashes::hget),
    command("hgetall", 2, Reads, hashes::hgetall),
    command("hincrby", 4, Grows, hashes::hincrby),
    command("hlen", 2, Reads, hashes::hlen),
    command("hmget", -3, Reads, hashes::hmget),
    command("hset", -4, Grows, hashes::hset),
    command("hsetnx", 4, Grows, hashes::hsetnx),
    command("incr", 2, Grows, strings::incr),
    command("incrby", 3, Grows, strings::incrby),
    command("info", -1, Reads, own::info),
    command("mget", -2, Reads, strings::mget),
    command("mset", -3, Grows, strings::mset),
    command("persist", 2, Changes, expiry::persist),
    command("pexpire", -3, Changes, expiry::pexpire),
    command("pexpireat", -3, Changes, expiry::pexpireat),
    command("pexpiretime", 2, Reads, expiry::pexpiretime),
    command("ping", -1, Reads, own::ping),
    command("psetex", 4, Grows, set::psetex),
    command("pttl", 2, Reads, expiry::pttl),
    command("publish", 3, Reads, own::publish),
    command("randomkey", 1, Reads, keys::randomkey),
    command("scan", -2, Reads, keys::scan),
    command("script", -2, Outside, script::script),
    command("set", -3, Grows, set::set),
    command("setnx", 3, Grows, set::setnx),
    command("setrange", 4, Grows, ranges::setrange),
    command("strlen", 2, Reads, strings::strlen),
    command("time", 1, Reads, own::time),
    command("ttl", 2, Reads, expiry::ttl),
    command("type", 2, Reads, keys::type_of),
    command("unlink", -2, Changes, keys::remove),
    command("xadd", -5, Grows, streams::xadd),
    command("xdel", -3, Changes, streams::xdel),
    command("xlen", 2, Reads, streams::xlen),
    command("xrange", -4, Reads, streams::xrange),
    command("xrevrange", -4, Reads, streams::xrevrange),
    command("xtrim", -4, Changes, streams::xtrim),
];

static BY_NAME: LazyLock<HashMap<&'static [u8], &'static Command>> = LazyLock::new(|| {
    let commands = COMMANDS.iter();
    commands
        .map(|command| (command.name.as_bytes(), command))
        .collect()
});

/// Longer than every name.
const LONGEST: usize = 16;

fn find(name: &[u8]) -> Option<&'static Command> {
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    BY_NAME.get(&lower[..]).copied()
}

impl Command {
    fn takes(&self, count: usize) -> bool {
        let count = count.cast_signed();
        count == self.arity || (self.arity < 0 && count >= -self.arity)
    }

    fn writes(&self) -> bool {
        matches!(self.kind, Changes | Grows)
    }
}

const FULL: Failure = Failure::Borrowed("OOM command not allowed when used memory > 'maxmemory'.");

/// A replica leaves it to its primary to keep within the memory.
fn lacks_memory(server: &Server) -> bool {
    server.is_full && server.writes != Writes::Replica
}

fn refused(writes: Writes) -> Option<Failure> {
    match writes {
        Writes::Allowed => None,
        Writes::Replica => Some("READONLY You can't write against a read only replica.".into()),
        Writes::NoReplicas => Some("NOREPLICAS Not enough good replicas to write.".into()),
    }
}

/// Runs a command that a client has sent.
pub(super) fn run(server: &mut Server, args: &Args<'_>) -> Reply {
    let outcome = check(server, args).and_then(|command| (command.run)(server, args));
    outcome.unwrap_or_else(Reply::error)
}

fn check(server: &Server, args: &Args<'_>) -> Result<&'static Command, Failure> {
    let Some(command) = find(args[0]) else {
        return Err(unknown(args));
    };
    if !command.takes(args.len()) {
        let name = command.name;
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    if command.kind == Grows && lacks_memory(server) {
        return Err(FULL);
    }
    match refused(server.writes) {
        Some(refusal) if command.writes() => Err(refusal),
        _ => Ok(command),
    }
}

fn unknown(args: &Args<'_>) -> Failure {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let begin: String = args[1..]
        .iter()
        .map(|arg| format!("'{}' ", text(arg)))
        .collect();
    let name = text(args[0]);
    format!("ERR unknown command '{name}', with args beginning with: {begin}").into()
}

/// What decides whether a script may go on writing.
pub(super) struct Rights {
    /// Whether the server was full when the script began.
    was_full: bool,
    /// Whether the script has written: then what it does cannot be stopped in the middle.
    has_written: bool,
}

impl Rights {
    pub(super) fn of(server: &Server) -> Rights {
        Rights {
            was_full: lacks_memory(server),
            has_written: false,
        }
    }
}

/// Runs a command that a script calls.
pub(super) fn run_in_script(server: &mut Server, rights: &mut Rights, args: &Args<'_>) -> Outcome {
    let Some(command) = find(args[0]) else {
        return Err("ERR Unknown Redis command called from script".into());
    };
    if !command.takes(args.len()) {
        return Err("ERR Wrong number of args calling Redis command from script".into());
    }
    if command.kind == Outside {
        return Err("ERR This Redis command is not allowed from script".into());
    }
    if command.writes() {
        if let Some(refusal) = refused(server.writes) {
            return Err(refusal);
        }
        if command.kind == Grows && rights.was_full && !rights.has_written {
            return Err(FULL);
        }
        rights.has_written = true;
    }
    (command.run)(server, args)
}

/// An argument as a number, in the one spelling that Redis takes.
pub(super) fn integer(text: &[u8]) -> Result<i64, Failure> {
    larder_resp::number::parse_i64(text).ok_or(super::server::NO_INTEGER)
}

fn count(number: usize) -> Reply {
    Reply::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn flag(holds: bool) -> Reply {
    Reply::Integer(i64::from(holds))
}

fn ok() -> Reply {
    Reply::Simple(bytes::Bytes::from_static(b"OK"))
}

/// Whether an argument is this word, in upper or lower case.
fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        for command in &COMMANDS {
            let upper = command.name.to_ascii_uppercase();
            let found = find(upper.as_bytes()).map(|command| command.name);
            assert_eq!(found, Some(command.name));
        }
        assert!(find(b"nothing").is_none() && find(&[b'g'; 40]).is_none());
    }
}
