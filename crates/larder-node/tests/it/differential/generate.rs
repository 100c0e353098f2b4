//! Random commands over few keys and few values, with options that fit and options that do not.

use std::fmt;

/// How replies are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Check {
    Exact,
    /// Positive numbers may differ by so much.
    Time(u64),
    /// The order of the elements does not matter.
    Sorted,
}

/// A command and how to compare its replies.
pub(crate) struct Command {
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) check: Check,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for word in &self.words {
            write!(f, "'{}' ", word[..word.len().min(60)].escape_ascii())?;
        }
        Ok(())
    }
}

const KEYS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"",
    b"k\0\xff\r\n",
    b"user:1",
    b"user:2",
];
/// Keys that only hold small decimal numbers: there 80 bits and decimals agree.
const DECIMAL_KEYS: &[&[u8]] = &[b"f1", b"f2"];
const DECIMALS: &[&[u8]] = &[
    b"0", b"0.5", b"-0.25", b"3.75", b"10", b"-1", b"1e2", b"+2", b"0.125",
];
const VALUES: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"-1",
    b"10",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"007",
    b" 1",
    b"1 ",
    b"abc",
    b"\0\xff\r\n",
    b"Hello World",
    b"9999999999999999999",
    b"+5",
    b"-0",
    b"1e3",
];
const INTEGERS: &[&[u8]] = &[
    b"0",
    b"1",
    b"-1",
    b"2",
    b"5",
    b"-3",
    b"100",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"abc",
    b"",
    b"1.5",
    b"01",
];
/// Lives and ends far enough away that no key dies during a run, and some that have passed.
const SECONDS: &[&[u8]] = &[
    b"1000",
    b"50000",
    b"0",
    b"-1",
    b"abc",
    b"9223372036854775807",
    b"9223372036854775",
    b"-9223372036854775808",
];
const MILLISECONDS: &[&[u8]] = &[
    b"1000000",
    b"50000000",
    b"0",
    b"-5",
    b"x",
    b"9223372036854775807",
];
const END_SECONDS: &[&[u8]] = &[b"33177117420", b"33177117421", b"1", b"0", b"-1", b"nope"];
const END_MILLISECONDS: &[&[u8]] = &[
    b"33177117420500",
    b"33177117420499",
    b"1",
    b"0",
    b"-7",
    b"9223372036854000000",
];
const PATTERNS: &[&[u8]] = &[
    b"*",
    b"user:*",
    b"[a-c]",
    b"?",
    b"user:[^2]",
    b"f*",
    b"",
    b"nothing*",
];
const OTHERS: &[&str] = &[
    "PING",
    "PING hi",
    "PING a b",
    "ECHO x",
    "ECHO",
    "SELECT 0",
    "SELECT 0",
    "SELECT 1",
    "SELECT 16",
    "SELECT -1",
    "SELECT abc",
    "SELECT 99999999999",
    "DBSIZE x",
    "FLUSHDB",
    "FLUSHDB SYNC",
    "FLUSHALL ASYNC",
    "FLUSHALL FOO",
    "FLUSHDB SYNC x",
    "FOO",
    "FOO a b c",
    "getx a",
    "CLIENT GETNAME",
    "CLIENT SETNAME app",
    "CLIENT SETNAME",
    "CLIENT FOO",
    "CLIENT",
    "client no-evict on",
    "CLIENT NO-EVICT maybe",
    "CLIENT REPLY FOO",
    "CLIENT UNBLOCK 99999",
    "CLIENT KILL 127.0.0.1:1",
    "CLIENT KILL ID 0",
    "CLIENT KILL ID 99999999",
    "CLIENT GETREDIR",
    "CLIENT TRACKINGINFO",
    "CLIENT CACHING YES",
    "CLIENT TRACKING FOO",
    "HELLO 9",
    "HELLO abc",
    "HELLO 3 FOO",
    "AUTH",
    "AUTH a b c",
    "AUTH x",
    "CONFIG GET databases",
    "CONFIG GET",
    "CONFIG FOO",
    "CONFIG GET no-such",
    "COMMAND COUNT x",
    "COMMAND INFO nosuch",
    "COMMAND DOCS nosuch",
    "COMMAND FOO",
    "COMMAND GETKEYS GET a",
    "COMMAND GETKEYS MSET a 1 b 2",
    "COMMAND GETKEYS FOO x",
    "COMMAND GETKEYS PING x",
    "COMMAND GETKEYS GET a b",
    "COMMAND GETKEYS RENAME a b",
    "COMMAND GETKEYS DEL a b c",
    "COMMAND LIST FILTERBY FOO x",
    "ROLE",
    "ROLE x",
    "TIME x",
    "RANDOMKEY x",
    "QUIT_NOT",
    "INFO no-such-section",
    "RESET x",
    "KEYS",
    "SCAN",
    "SCAN abc",
    "SCAN 0 COUNT",
    "SCAN 0 COUNT 0",
    "SCAN 0 COUNT x",
    "SCAN 0 FOO x",
    "MSET a",
    "MSET a 1 b",
    "MSETNX",
    "MGET",
    "DEL",
    "EXISTS",
    "TOUCH",
    "UNLINK",
    "TYPE",
    "OBJECT_NOT a",
];

/// A seeded source of commands.
pub(crate) struct Generator {
    state: u64,
    /// Makes relative lives differ by seconds, so that `GT` and `LT` do not depend on timing.
    lives: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Generator {
        Generator {
            state: seed,
            lives: 0,
        }
    }

    /// SplitMix64.
    fn random(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.random(from.len())]
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.random(one_in) == 0
    }

    /// The next command; one in a while with a word too many or too few, or in odd case.
    pub(crate) fn command(&mut self) -> Command {
        if self.chance(20) {
            return self.other();
        }
        let mut command = self.sound_command();
        let words = &mut command.words;
        if self.chance(60) {
            words.push(b"extra".to_vec());
        } else if self.chance(60) && words.len() > 1 {
            words.pop();
        }
        if self.chance(3) {
            words[0].make_ascii_lowercase();
        }
        command
    }

    fn sound_command(&mut self) -> Command {
        match self.random(19) {
            0..3 => self.set(),
            3..6 => self.simple(),
            6..8 => self.number(),
            8 => self.decimal(),
            9..12 => self.expire(),
            12..14 => self.time_left(),
            14 => self.getex(),
            15 => self.many(),
            16 => self.piece(),
            17 => self.listing(),
            _ => self.two_keys(),
        }
    }

    fn exact(&mut self, name: &str, words: &[&[u8]]) -> Command {
        let mut all = vec![name.as_bytes().to_vec()];
        all.extend(words.iter().map(|word| word.to_vec()));
        Command {
            words: all,
            check: Check::Exact,
        }
    }

    fn name(&mut self, names: &[&'static str]) -> &'static str {
        names[self.random(names.len())]
    }

    fn set(&mut self) -> Command {
        let (key, value) = (self.pick(KEYS), self.pick(VALUES));
        let mut command = self.exact("SET", &[key, value]);
        for _ in 0..self.random(4) {
            let option = self.name(&[
                "NX", "XX", "get", "KEEPTTL", "EX", "px", "EXAT", "PXAT", "FOO",
            ]);
            command.words.push(option.as_bytes().to_vec());
            self.number_of(option, &mut command);
        }
        command
    }

    /// Adds the number that an option for the end of a life takes.
    fn number_of(&mut self, option: &str, command: &mut Command) {
        let number = match option {
            "EX" => self.pick(SECONDS),
            "px" => self.pick(MILLISECONDS),
            "EXAT" => self.pick(END_SECONDS),
            "PXAT" => self.pick(END_MILLISECONDS),
            _ => return,
        };
        command.words.push(number.to_vec());
    }

    fn simple(&mut self) -> Command {
        let (key, value) = (self.pick(KEYS), self.pick(VALUES));
        match self.random(9) {
            0..3 => self.exact("GET", &[key]),
            3 => self.exact("SETNX", &[key, value]),
            4 => self.exact("GETSET", &[key, value]),
            5 => self.exact("APPEND", &[key, value]),
            6 => self.exact("GETDEL", &[key]),
            7 => {
                let name = self.name(&["SETEX", "PSETEX"]);
                let life = self.pick(if name == "SETEX" {
                    SECONDS
                } else {
                    MILLISECONDS
                });
                self.exact(name, &[key, life, value])
            }
            _ => {
                let name = self.name(&["STRLEN", "TYPE", "PERSIST"]);
                self.exact(name, &[key])
            }
        }
    }

    fn number(&mut self) -> Command {
        let (key, by) = (self.pick(KEYS), self.pick(INTEGERS));
        match self.random(5) {
            0 => self.exact("INCR", &[key]),
            1 => self.exact("DECR", &[key]),
            2 => self.exact("INCRBY", &[key, by]),
            3 => self.exact("DECRBY", &[key, by]),
            _ => {
                let by = self.pick(&[b"abc", b"nan", b"", b" 1", b"1.2.3"]);
                self.exact("INCRBYFLOAT", &[key, by])
            }
        }
    }

    fn decimal(&mut self) -> Command {
        let (key, number) = (self.pick(DECIMAL_KEYS), self.pick(DECIMALS));
        match self.random(6) {
            0 => self.exact("SET", &[key, number]),
            1 => self.exact("GET", &[key]),
            2 => self.exact("INCRBYFLOAT", &[key, b"inf"]),
            _ => self.exact("INCRBYFLOAT", &[key, number]),
        }
    }

    fn expire(&mut self) -> Command {
        let key = self.pick(KEYS);
        let name = self.name(&["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"]);
        self.lives += 10;
        let unique = (100_000 + self.lives).to_string();
        let unique_ms = format!("{unique}000");
        let number = match name {
            "EXPIRE" if self.chance(2) => unique.as_bytes(),
            "PEXPIRE" if self.chance(2) => unique_ms.as_bytes(),
            "EXPIRE" => self.pick(&SECONDS[2..]),
            "PEXPIRE" => self.pick(&MILLISECONDS[2..]),
            "EXPIREAT" => self.pick(END_SECONDS),
            _ => self.pick(END_MILLISECONDS),
        };
        let mut command = self.exact(name, &[key, number]);
        for _ in 0..self.random(3) {
            let option = self.name(&["NX", "xx", "GT", "LT", "FOO"]);
            command.words.push(option.as_bytes().to_vec());
        }
        command
    }

    fn time_left(&mut self) -> Command {
        let key = self.pick(KEYS);
        let name = self.name(&["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]);
        // As much as a busy machine may take between the two servers.
        let slack = if name.starts_with('P') { 5_000 } else { 5 };
        Command {
            check: Check::Time(slack),
            ..self.exact(name, &[key])
        }
    }

    fn getex(&mut self) -> Command {
        let key = self.pick(KEYS);
        let mut command = self.exact("GETEX", &[key]);
        for _ in 0..self.random(3) {
            let option = self.name(&["EX", "px", "EXAT", "PXAT", "PERSIST", "KEEPTTL"]);
            command.words.push(option.as_bytes().to_vec());
            self.number_of(option, &mut command);
        }
        command
    }

    fn many(&mut self) -> Command {
        let name = self.name(&["MGET", "MSET", "MSETNX", "DEL", "UNLINK", "EXISTS", "TOUCH"]);
        let mut command = self.exact(name, &[]);
        for _ in 0..=self.random(3) {
            command.words.push(self.pick(KEYS).to_vec());
            if name.starts_with("MSET") {
                command.words.push(self.pick(VALUES).to_vec());
            }
        }
        command
    }

    fn piece(&mut self) -> Command {
        let (key, value) = (self.pick(KEYS), self.pick(VALUES));
        let (start, end) = (self.pick(INTEGERS), self.pick(INTEGERS));
        match self.random(3) {
            0 => self.exact("SUBSTR", &[key, start, end]),
            1 => self.exact("GETRANGE", &[key, start, end]),
            _ => {
                let offset = self.pick(&[
                    b"0",
                    b"3",
                    b"20",
                    b"-1",
                    b"1048570",
                    b"1048576",
                    b"9223372036854775807",
                    b"x",
                ]);
                // Long values would make everything else slow.
                let value = if offset == b"1048570" {
                    b"longer"
                } else {
                    value
                };
                self.exact("SETRANGE", &[key, offset, value])
            }
        }
    }

    fn listing(&mut self) -> Command {
        let pattern = self.pick(PATTERNS);
        let command = match self.random(4) {
            0 => self.exact("KEYS", &[pattern]),
            1 => self.exact("SCAN", &[b"0", b"COUNT", b"10000", b"MATCH", pattern]),
            2 => self.exact("SCAN", &[b"0", b"count", b"5000", b"TYPE", b"string"]),
            _ => self.exact("SCAN", &[b"0", b"COUNT", b"9000", b"TYPE", b"list"]),
        };
        Command {
            check: Check::Sorted,
            ..command
        }
    }

    fn two_keys(&mut self) -> Command {
        let (from, to) = (self.pick(KEYS), self.pick(KEYS));
        let name = self.name(&["RENAME", "RENAMENX"]);
        self.exact(name, &[from, to])
    }

    fn other(&mut self) -> Command {
        let line = OTHERS[self.random(OTHERS.len())];
        let words = line
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect();
        Command {
            words,
            check: Check::Exact,
        }
    }
}
