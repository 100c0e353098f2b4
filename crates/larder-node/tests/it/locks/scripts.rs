//! The scripts of lock libraries: each answers as on a server that runs Lua, and others are refused.

use larder_resp::Reply;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::nodes;
use crate::node::Node;
use crate::wire::{Wire, show};

/// Every form, in a spelling of our own; how many keys it takes at least and at most, and arguments
/// after the value.
const FORMS: [(&str, usize, usize, &[&str]); 10] = [
    (
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) \
         else return 0 end",
        1,
        1,
        &[],
    ),
    (
        "if redis.call(\"get\",KEYS[1])==ARGV[1]then return redis.call(\"pexpire\",KEYS[1],ARGV[2])\n\
         else return 0 end",
        1,
        1,
        &["200000"],
    ),
    (
        "if redis.call('get', KEYS[1]) == ARGV[1] then -- seconds\n\
         return redis.call('expire', KEYS[1], ARGV[2]); else return 0 end",
        1,
        1,
        &["300"],
    ),
    (
        "local token = redis.call('get', KEYS[1]) if not token or token ~= ARGV[1] then return 0 end \
         redis.call('del', KEYS[1]) return 1",
        1,
        1,
        &[],
    ),
    (
        "local token = redis.call('get', KEYS[1]) if not token or token ~= ARGV[1] then return 0 end \
         redis.call('pexpire', KEYS[1], ARGV[2]) return 1",
        1,
        1,
        &["400000"],
    ),
    (
        "local token = redis.call('get', KEYS[1]) if not token or token ~= ARGV[1] then return 0 end \
         local expiration = redis.call('pttl', KEYS[1]) if not expiration then expiration = 0 end \
         if expiration < 0 then return 0 end local newttl = ARGV[2] \
         if ARGV[3] == \"0\" then newttl = ARGV[2] + expiration end \
         redis.call('pexpire', KEYS[1], newttl) return 1",
        1,
        1,
        &["100000", "0"],
    ),
    (
        "return redis.call('exists',KEYS[1])<1 and redis.call('setex',KEYS[1],ARGV[2],ARGV[1])",
        1,
        1,
        &["500"],
    ),
    (
        "for i, key in ipairs(KEYS) do if redis.call('exists', key) == 1 then return 0 end end \
         for i, key in ipairs(KEYS) do redis.call('set', key, ARGV[1], 'PX', ARGV[2]) end return #KEYS",
        1,
        3,
        &["600000"],
    ),
    (
        "for i, key in ipairs(KEYS) do if redis.call('get', key) ~= ARGV[1] then return 0 end end \
         for i, key in ipairs(KEYS) do redis.call('set', key, ARGV[1], 'PX', ARGV[2]) end return #KEYS",
        1,
        3,
        &["700000"],
    ),
    (
        "local count = 0 for i, key in ipairs(KEYS) do if redis.call('get', key) == ARGV[1] then \
         redis.pcall('del', key) count = count + 1 end end return count",
        1,
        3,
        &[],
    ),
];

const STEPS: u64 = 1_500;
const KEYS: [&str; 3] = ["a", "b", "c"];

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % most
    }
}

fn step(dice: &mut Dice) -> Vec<String> {
    let word = |word: &str| word.to_owned();
    let value = ["me", "you"][dice.below(2)];
    let key = KEYS[dice.below(3)];
    if dice.below(3) == 0 {
        return match dice.below(4) {
            0 => vec![word("DEL"), word(key)],
            1 => vec![word("SET"), word(key), word(value)],
            _ => ["SET", key, value, "NX", "PX", "90000"].map(word).to_vec(),
        };
    }
    let (script, least, most, arguments) = FORMS[dice.below(FORMS.len())];
    let keys = least + dice.below(most - least + 1);
    let mut words = vec![word("EVAL"), word(script), keys.to_string()];
    words.extend((0..keys).map(|at| KEYS[at].to_owned()));
    words.push(word(value));
    words.extend(arguments.iter().map(|argument| word(argument)));
    words
}

/// What is left of a life may differ by as long as the test was held up.
fn is_near(one: &Reply, other: &Reply) -> bool {
    match (one, other) {
        (Reply::Integer(one), Reply::Integer(other)) => (one - other).abs() < 10_000,
        _ => false,
    }
}

fn compare(node: &Node, redis: &RedisServer) {
    let theirs = ([127, 0, 0, 1], redis.port()).into();
    let (mut ours, mut theirs) = (Wire::connect(node.resp), Wire::connect(theirs));
    let (mut dice, mut done) = (Dice(7), 0);
    for at in 0..STEPS {
        let words = step(&mut dice);
        let (our, their) = (ours.call(&words), theirs.call(&words));
        assert_eq!(show(&our), show(&their), "step {at}: {words:?}");
        done += u64::from(words[0] == "EVAL" && matches!(our, Reply::Integer(1..)));
        for key in KEYS {
            let get = ["GET", key];
            assert_eq!(ours.call(&get), theirs.call(&get), "step {at}: {words:?}");
            let (our, their) = (ours.call(&["PTTL", key]), theirs.call(&["PTTL", key]));
            assert!(is_near(&our, &their), "step {at}, {key}: {our:?} {their:?}");
        }
    }
    assert!(done > STEPS / 10, "only {done} scripts did something");
}

#[test]
fn scripts_of_lock_libraries_do_what_they_do_on_redis() {
    let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    for (node, _store) in nodes() {
        redis.cli(&["FLUSHALL"]);
        compare(&node, &redis);
    }
}

#[test]
fn a_script_is_known_by_its_hash_once_it_was_sent() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    let script = FORMS[0].0;
    let loaded = show(&wire.call(&["SCRIPT", "LOAD", script]));
    assert_eq!(loaded.len(), 40);
    wire.ask("SET k me");
    assert_eq!(wire.ask(&format!("EVALSHA {loaded} 1 k you")), "0");
    let upper = loaded.to_ascii_uppercase();
    assert_eq!(wire.ask(&format!("EVALSHA {upper} 1 k me")), "1");
    assert_eq!(
        wire.ask(&format!("SCRIPT EXISTS {loaded} {}", "0".repeat(40))),
        "[1 0]"
    );
    assert_eq!(wire.ask("SCRIPT FLUSH"), "OK");
    let unknown = wire.ask(&format!("EVALSHA {loaded} 1 k me"));
    assert_eq!(unknown, "-NOSCRIPT No matching script. Please use EVAL.");
    wire.call(&["EVAL", script, "1", "k", "me"]);
    assert_eq!(wire.ask(&format!("EVALSHA {loaded} 1 k me")), "0");
    let keys = ["COMMAND", "GETKEYS", "EVAL", script, "1", "k", "me"];
    assert_eq!(show(&wire.call(&keys)), "[k]");
}

#[test]
fn other_scripts_are_refused_with_what_to_do() {
    let node = Node::start(&[], &[]);
    let mut wire = Wire::connect(node.resp);
    for script in ["return 1", "return redis.call('get', KEYS[1])", ""] {
        for words in [
            vec!["EVAL", script, "1", "k", "v"],
            vec!["SCRIPT", "LOAD", script],
        ] {
            let reply = show(&wire.call(&words));
            assert!(reply.starts_with("-ERR this node runs no Lua"), "{reply}");
            assert!(reply.contains("DELIFEQ"), "{reply}");
        }
    }
    let script = FORMS[0].0;
    for (keys, error) in [
        ("2", "-ERR Number of keys can\\'t be greater"),
        ("-1", "-ERR Number of keys can\\'t be negative"),
        ("x", "-ERR value is not an integer"),
        ("0", "-ERR this script needs other numbers"),
    ] {
        let reply = show(&wire.call(&["EVAL", script, keys, "k"]));
        assert!(reply.starts_with(error), "{keys}: {reply}");
    }
}

#[test]
fn delifeq_removes_what_holds_the_value_and_nothing_else() {
    for (node, _redis) in nodes() {
        let mut wire = Wire::connect(node.resp);
        assert_eq!(wire.ask("SET k me NX PX 60000"), "OK");
        assert_eq!(wire.ask("DELIFEQ k you"), "0");
        assert_eq!(wire.ask("GET k"), "me");
        assert_eq!(wire.ask("DELIFEQ k me"), "1");
        assert_eq!(wire.ask("DELIFEQ k me"), "0");
    }
}
