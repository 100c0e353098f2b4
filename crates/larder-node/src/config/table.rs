//! All settings, in one table: what the file, the environment, the flags, the help, `--check` and
//! the reference page know is read from here.

use std::time::Duration;

/// A setting.
pub(crate) struct Setting {
    /// Its place in the file: `resp.addr` is `addr` in `[resp]`.
    pub(crate) path: &'static str,
    /// Its flag, without the dashes. The flag of a secret names a file that holds it.
    pub(crate) flag: &'static str,
    /// As it would be written in the file; empty when there is none.
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
    /// One line for people.
    pub(crate) doc: &'static str,
}

/// What a setting accepts.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An address to listen on.
    Addr,
    /// The same, or none.
    OptionalAddr,
    /// Hosts with ports, with commas between them.
    Hosts,
    /// Names for the name service, with commas between them.
    DnsNames,
    /// Names of nodes, each with a host and a port, with commas between them.
    Members,
    Duration(Times),
    /// Bytes, both ends included.
    Size(u64, u64),
    /// Bytes, or `auto`, or `none`.
    Memory,
    /// A number, both ends included.
    Count(u64, u64),
    /// A word without blanks.
    Word,
    /// Names of caches, with commas between them.
    Names,
    /// Where an outbox is.
    Outbox,
    /// An address of a server, with its password masked wherever it is shown.
    Url,
    /// Never shown.
    Secret,
}

/// What a duration may be, both ends included.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
    /// What a number alone means in a variable or a flag; the file wants a unit.
    pub(crate) bare: Bare,
    /// `none` is accepted.
    pub(crate) optional: bool,
}

/// The unit of a number alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    Seconds,
    Milliseconds,
}

impl Setting {
    /// Its variable: `CACHE_` and its path.
    pub(crate) fn env(&self) -> String {
        format!("CACHE_{}", self.path.to_ascii_uppercase().replace('.', "_"))
    }

    /// Whether it may be kept in a file of its own (`…_file`, `…_FILE`).
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Url)
    }
}

/// The setting with this path.
pub(crate) fn find(path: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.path == path)
}

const DAY: u64 = 86_400;

/// Lives of keys.
pub(crate) const TTL: Times = Times {
    min: Duration::from_millis(1),
    max: Duration::from_secs(3_650 * DAY),
    bare: Bare::Seconds,
    optional: false,
};

const OPTIONAL_TTL: Times = Times {
    optional: true,
    ..TTL
};

const TIMEOUT: Times = Times {
    min: Duration::from_millis(1),
    max: Duration::from_secs(3_600),
    bare: Bare::Milliseconds,
    optional: false,
};

const IDLE: Times = Times {
    min: Duration::from_secs(1),
    max: Duration::from_secs(30 * DAY),
    bare: Bare::Milliseconds,
    optional: true,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const fn setting(
    path: &'static str,
    flag: &'static str,
    default: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting {
        path,
        flag,
        default,
        kind,
        doc,
    }
}

/// The values of `type`. The last four are understood and refused by this version.
pub(crate) const TYPES: [&str; 6] = [
    "memory",
    "redis",
    "sentinel",
    "cluster",
    "ring",
    "memcached",
];

/// What becomes of new values while the store is full.
pub(crate) const WHEN_FULL: [&str; 2] = ["evict", "refuse"];

/// What becomes of near copies while nobody vouches for them.
pub(crate) const WHEN_FENCED: [&str; 2] = ["bypass", "serve-stale"];

/// What the node can claim to be.
pub(crate) const IDENTITIES: [&str; 3] = ["redis-7.4", "valkey-8.0", "native"];

#[rustfmt::skip]
pub(crate) const TABLE: &[Setting] = &[
    setting("enabled", "enabled", "true", Kind::Bool,
        "false: store nothing, every read is a miss"),
    setting("type", "type", "memory", Kind::Choice(&TYPES),
        "Where values are kept: memory (this process) or redis; redis if only a URL is set"),
    setting("url", "url", "", Kind::Url,
        "The server, for example redis://cache:6379/0; REDIS_URL stands in for it"),
    setting("memory.max", "memory-max", "auto", Kind::Memory,
        "Without a server behind the node: the most it holds; auto is half of what there is"),
    setting("memory.when_full", "memory-when-full", "evict", Kind::Choice(&WHEN_FULL),
        "At that limit: evict what is read least, or refuse new values with OOM"),
    setting("near.size", "near-size", "64MiB", Kind::Size(0, 1_024 * 1_024 * MIB),
        "With a server behind the node: how much of its values is kept near; 0 keeps none"),
    setting("near.ttl", "near-ttl", "none", Kind::Duration(OPTIONAL_TTL),
        "Use no near copy for longer than this, however long its value lives"),
    setting("near.when_fenced", "near-when-fenced", "bypass", Kind::Choice(&WHEN_FENCED),
        "While nobody vouches for near copies: bypass them, or serve-stale if the server is away"),
    setting("node", "name", "", Kind::Word,
        "What this node is called among those that follow the same log; default: a new name"),
    setting("ttl.default", "ttl-default", "none", Kind::Duration(OPTIONAL_TTL),
        "Life of keys written without one; none keeps them, as Redis does"),
    setting("pool.min_size", "pool-min-size", "0", Kind::Count(0, 1_000),
        "Connections to the server that stay open for slow commands"),
    setting("pool.max_size", "pool-max-size", "20", Kind::Count(1, 1_000),
        "Most connections to the server for slow commands"),
    setting("pool.timeout", "pool-timeout", "5s", Kind::Duration(TIMEOUT),
        "How long a slow command waits for a free connection"),
    setting("breaker.enabled", "breaker-enabled", "true", Kind::Bool,
        "Leave the server alone for a moment when too many commands fail or are slow"),
    setting("breaker.slow", "breaker-slow", "250ms", Kind::Duration(TIMEOUT),
        "An answer that takes longer is slow"),
    setting("outbox.url", "outbox-url", "", Kind::Outbox,
        "Carry out what transactions of this database have recorded; see docs/outbox.md"),
    setting("outbox.caches", "outbox-caches", "", Kind::Names,
        "The caches whose notices are taken from it, beside those that the rules name"),
    setting("mesh.addr", "mesh", "", Kind::OptionalAddr,
        "Be a node of a mesh, and listen for the others here; needs a name and a secret"),
    setting("mesh.join", "join", "", Kind::Hosts,
        "Nodes by which the others are found; one is enough"),
    setting("mesh.members", "members", "", Kind::Members,
        "Or all nodes by name, the same list everywhere; nobody else is let in"),
    setting("mesh.dns", "mesh-dns", "", Kind::DnsNames,
        "Or names that the name service is asked for, with a port; srv:NAME for services"),
    setting("mesh.secret", "secret-file", "", Kind::Secret,
        "What all nodes of the mesh know; the flag names a file that holds it"),
    setting("mesh.cluster", "cluster", "larder", Kind::Word,
        "Nodes of another cluster are refused"),
    setting("mesh.advertise", "mesh-advertise", "", Kind::Hosts,
        "Where the others reach this node, if that is not where it listens"),
    setting("mesh.tls", "mesh-tls", "secret", Kind::Choice(&["secret", "off"]),
        "TLS between nodes with keys from the secret, or off where the network is closed"),
    setting("resp.addr", "resp", "127.0.0.1:6380", Kind::Addr,
        "Where Redis clients connect"),
    setting("resp.password", "password-file", "", Kind::Secret,
        "Password that clients must give; the flag names a file that holds it"),
    setting("resp.protected", "resp-protected", "true", Kind::Bool,
        "Refuse to listen beyond this machine without a password"),
    setting("resp.identity", "resp-identity", "redis-7.4", Kind::Choice(&IDENTITIES),
        "What HELLO and INFO say: redis-7.4, valkey-8.0 or native; clients choose features by it"),
    setting("resp.server", "resp-server", "", Kind::Word,
        "Name of the server in HELLO, instead of the identity's"),
    setting("resp.version", "resp-version", "", Kind::Word,
        "Version of the server in HELLO and INFO, instead of the identity's"),
    setting("resp.max_clients", "resp-max-clients", "10000", Kind::Count(1, 1_000_000),
        "Most connections at once; more are turned away"),
    setting("resp.max_value", "resp-max-value", "16MiB", Kind::Size(KIB, 512 * MIB),
        "Largest key or value"),
    setting("resp.max_args", "resp-max-args", "65536", Kind::Count(16, 1_048_576),
        "Most arguments of one command"),
    setting("resp.idle_timeout", "resp-idle-timeout", "none", Kind::Duration(IDLE),
        "Close a connection that has sent nothing for so long"),
    setting("resp.frame_timeout", "resp-frame-timeout", "10s", Kind::Duration(TIMEOUT),
        "A command that has begun to arrive must be complete by then; 1 s more per MiB"),
    setting("resp.max_output", "resp-max-output", "64MiB", Kind::Size(64 * KIB, 4_096 * MIB),
        "Disconnect a client that leaves so many bytes of replies unread"),
    setting("http.addr", "http", "127.0.0.1:6381", Kind::Addr,
        "Where health, readiness and metrics are"),
    setting("shutdown.grace", "shutdown-grace", "10s", Kind::Duration(TIMEOUT),
        "How long a stopping node lets clients finish"),
    setting("log.level", "log-level", "info", Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "What is logged on stderr: error, warn, info, debug or trace"),
    setting("log.format", "log-format", "auto", Kind::Choice(&["auto", "text", "json"]),
        "text, json, or auto: text on a terminal, JSON elsewhere"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the reference page, as it must stand there.
    fn reference() -> String {
        let row = |setting: &Setting| {
            let default = match setting.default {
                "" => "–".to_owned(),
                default => format!("`{default}`"),
            };
            let (path, env, flag) = (setting.path, setting.env(), setting.flag);
            let (accepted, doc) = (setting.kind.accepted(), setting.doc);
            let accepted = accepted.split(", written as").next().unwrap_or_default();
            format!("| `{path}` | `{env}` | `--{flag}` | {default} | {accepted} | {doc} |\n")
        };
        let head = "| Key | Variable | Flag | Default | Accepted | Meaning |\n\
                    |---|---|---|---|---|---|\n";
        format!("{head}{}", TABLE.iter().map(row).collect::<String>())
    }

    #[test]
    fn the_reference_page_has_exactly_these_settings() {
        let page = include_str!("../../../../docs/configuration.md");
        let expected = reference();
        assert!(
            page.contains(&expected),
            "docs/configuration.md needs:\n{expected}"
        );
    }

    #[test]
    fn flags_are_paths_but_for_the_common_ones() {
        for setting in TABLE {
            let derived = setting.path.replace(['.', '_'], "-");
            let short = [
                "resp",
                "http",
                "password-file",
                "name",
                "mesh",
                "join",
                "members",
                "secret-file",
                "cluster",
            ];
            let fits = setting.flag == derived || short.contains(&setting.flag);
            assert!(fits, "{} has the flag {}", setting.path, setting.flag);
            assert!(!setting.doc.is_empty() && !setting.doc.ends_with('.'));
        }
    }

    #[test]
    fn the_names_of_the_requirement_are_there() {
        let names: Vec<String> = TABLE.iter().map(Setting::env).collect();
        for name in "CACHE_ENABLED CACHE_TYPE CACHE_URL CACHE_TTL_DEFAULT CACHE_POOL_MIN_SIZE \
                     CACHE_POOL_MAX_SIZE CACHE_POOL_TIMEOUT CACHE_RESP_ADDR CACHE_RESP_PASSWORD"
            .split_whitespace()
        {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}
