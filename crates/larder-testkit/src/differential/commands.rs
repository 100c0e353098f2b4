//! Random commands, their arguments from small pools, so that they meet on the same keys.

use bytes::Bytes;

use super::client::bytes;
use crate::sim::Random;

fn pick<'a, T: ?Sized>(random: &mut Random, among: &[&'a T]) -> &'a T {
    among[random.below(among.len() as u64) as usize]
}

/// A key that a store keeps records under.
pub(super) fn key(random: &mut Random) -> Bytes {
    bytes(pick(random, &["k1", "k2", "k\n3", "other", "\0d\u{2}k"]))
}

/// Any key, those included that Larder keeps for itself.
fn any_key(random: &mut Random) -> Bytes {
    match random.below(4) {
        0 => bytes(pick(
            random,
            &[
                "\0sshard",
                "\0slog",
                "\0stag:c\0t",
                "\0sreaders",
                "\0sdep:k1",
                "p:k1",
                "",
            ],
        )),
        _ => key(random),
    }
}

/// Milliseconds: over soon, or not during the test. No two long ones are alike.
pub(super) fn life(random: &mut Random) -> u64 {
    match random.below(20) {
        0 => 1 + random.below(4),
        _ => 60_000 + random.below(10_000_000),
    }
}

pub(super) fn value(random: &mut Random) -> Bytes {
    match random.below(6) {
        0 => Bytes::new(),
        1 => bytes(&random.below(100).to_string()),
        2 => bytes(pick(random, &["text", "-7", "9223372036854775807", "01"])),
        // A record of Larder's begins like this.
        3 => bytes("C1\u{1}"),
        _ => {
            let length = random.below(120);
            (0..length).map(|_| random.draw() as u8).collect()
        }
    }
}

fn number(random: &mut Random) -> Bytes {
    match random.below(4) {
        0 => bytes(pick(
            random,
            &[
                "",
                "x",
                "01",
                "+1",
                "-0",
                "1.5",
                " 1",
                "9223372036854775808",
            ],
        )),
        1 => bytes(&(-(random.below(80).cast_signed())).to_string()),
        _ => bytes(&random.below(130).to_string()),
    }
}

fn large(random: &mut Random) -> Bytes {
    match random.below(3) {
        0 => bytes(pick(
            random,
            &["9223372036854775807", "-9223372036854775808", "-1", "0"],
        )),
        _ => number(random),
    }
}

fn field(random: &mut Random) -> Bytes {
    bytes(pick(
        random,
        &[
            "f1",
            "f2",
            "",
            "high_water",
            "inc",
            "seq",
            "tags",
            "run_id",
            "base",
            "deps",
            "since",
        ],
    ))
}

fn moment(random: &mut Random) -> Bytes {
    match random.below(4) {
        0 => bytes(pick(
            random,
            &[
                "9223372036854775807",
                "-9223372036854775808",
                "-1",
                "0",
                "x",
                "01",
            ],
        )),
        _ => bytes(&life(random).to_string()),
    }
}

fn id(random: &mut Random) -> Bytes {
    match random.below(6) {
        0 => bytes(pick(
            random,
            &["-", "+", "0", "0-0", "x", "1-", "(3", "(2-1", "(-", "7-*"],
        )),
        1 => bytes(&format!("{}-{}", random.below(9), random.below(4))),
        _ => bytes(&random.below(30).to_string()),
    }
}

/// How arguments of commands are drawn: one letter each.
///
/// `k` key, `v` value, `n` number, `N` number of any size, `f` field, `t` time, `i` stream id,
/// `o` an option of `SET`, `c` a condition of `PEXPIRE`, `~` a sign of `MAXLEN`.
const FORMS: &[&str] = &[
    "GET k",
    "GET k",
    "MGET k k k",
    "STRLEN k",
    "EXISTS k k k",
    "TYPE k",
    "PTTL k",
    "PEXPIRETIME k",
    "GETRANGE k n n",
    "GETRANGE k N N",
    "SETRANGE k n v",
    "SETRANGE k 0 v",
    "APPEND k v",
    "SET k v",
    "SET k v o",
    "SET k v o o",
    "SET k v PX t",
    "SET k v PX t NX",
    "SET k v PX t o",
    "SET k v EX t",
    "SET k v PXAT t",
    "SET k v EXAT t",
    "SET k v KEEPTTL",
    "SET k v PX",
    "SETNX k v",
    "PSETEX k t v",
    "MSET k v k v",
    "MSET k v k",
    "INCR k",
    "INCRBY k N",
    "DEL k",
    "UNLINK k k",
    "EXPIRE k t",
    "EXPIREAT k t",
    "PEXPIRE k t",
    "PEXPIRE k t c",
    "PEXPIRE k t c c",
    "PEXPIREAT k t",
    "PERSIST k",
    "HSET k f v",
    "HSET k f v f v",
    "HSET k f v f",
    "HSETNX k f v",
    "HGET k f",
    "HMGET k f f f",
    "HEXISTS k f",
    "HGETALL k",
    "HLEN k",
    "HDEL k f f",
    "HDEL k f",
    "HINCRBY k f N",
    "XADD k i f v",
    "XADD k i r v",
    "XADD k i f",
    "XADD k MAXLEN n i f v",
    "XADD k NOMKSTREAM i f v",
    "XADD k MAXLEN ~ 100 i f v",
    "XADD k MAXLEN = 3 i f v",
    "XLEN k",
    "XRANGE k i i",
    "XRANGE k - +",
    "XRANGE k i + COUNT n",
    "XREVRANGE k i i",
    "XREVRANGE k + -",
    "XTRIM k MAXLEN n",
    "XTRIM k MAXLEN = n",
    "XDEL k i i",
    "PUBLISH chan v",
    "PING",
    "ECHO v",
    "FLUSHALL",
    "GET",
    "SET k",
    "NOSUCH f x",
    "EVALSHA x 0",
    "SCRIPT EXISTS x",
];

fn argument(form: &str, random: &mut Random) -> Bytes {
    match form {
        "k" => any_key(random),
        "v" => value(random),
        "n" => number(random),
        "N" => large(random),
        "f" => field(random),
        "t" => moment(random),
        "i" => id(random),
        "o" => bytes(pick(random, &["NX", "XX", "GET", "KEEPTTL", "nx", "?"])),
        "c" => bytes(pick(random, &["NX", "XX", "GT", "LT", "?"])),
        "chan" => bytes(pick(random, &["chan", "\0slog:0"])),
        word => bytes(word),
    }
}

/// A random command.
pub(super) fn command(random: &mut Random) -> Vec<Bytes> {
    let form = pick(random, FORMS);
    form.split(' ').map(|form| argument(form, random)).collect()
}

/// The same call with one argument changed. Numbers stay small, because they may count rounds.
pub(super) fn changed(call: &[Bytes], random: &mut Random) -> Vec<Bytes> {
    let mut call = call.to_vec();
    let at = 2 + random.below(call.len() as u64 - 2) as usize;
    let another = match random.below(5) {
        0 => any_key(random),
        1 => value(random),
        2 => moment_or_number(random),
        _ => {
            let from = 2 + random.below(call.len() as u64 - 2) as usize;
            call[from].clone()
        }
    };
    match random.below(6) {
        0 => drop(call.remove(at)),
        1 => call.insert(at, another),
        _ => call[at] = another,
    }
    call
}

fn moment_or_number(random: &mut Random) -> Bytes {
    match random.below(3) {
        0 => bytes(&life(random).to_string()),
        _ => number(random),
    }
}
