//! The settings of a node as its parts use them: checked, typed, with defaults.

use std::net::SocketAddr;
use std::time::Duration;

use larder::embedded::MemoryLimit;
use larder::mesh::MeshConfig;
use larder::{Rules, WhenFenced};
use larder_core::breaker::BreakerPolicy;
use secrecy::SecretString;

/// Everything that can be set.
pub(crate) struct Settings {
    pub(crate) resp: RespSettings,
    pub(crate) http_addr: SocketAddr,
    pub(crate) ttl: TtlSettings,
    /// `false`: nothing is stored and every read is a miss.
    pub(crate) enabled: bool,
    pub(crate) store: StoreSettings,
    /// What is kept near of the values of a server.
    pub(crate) near: NearSettings,
    /// The others, if there are any.
    pub(crate) mesh: Option<MeshConfig>,
    /// What this node is called among those that follow the same log.
    pub(crate) name: Option<String>,
    /// What events invalidate.
    pub(crate) rules: Rules,
    /// Whose notices are carried out.
    pub(crate) outbox: Option<OutboxSettings>,
    /// How long a stopping node lets clients finish.
    pub(crate) shutdown_grace: Duration,
    pub(crate) log: LogSettings,
}

/// Where values are kept.
pub(crate) enum StoreSettings {
    /// In this process.
    Memory(Option<MemoryLimit>),
    /// On a Redis or Valkey server.
    Redis {
        url: SecretString,
        pool_min: usize,
        pool_max: usize,
        pool_timeout: Duration,
        breaker: Option<BreakerPolicy>,
    },
}

/// Near copies of the values of a server.
pub(crate) struct NearSettings {
    /// In bytes; 0 for none.
    pub(crate) size: u64,
    /// The longest that one of them is used.
    pub(crate) ttl: Option<Duration>,
    pub(crate) when_fenced: WhenFenced,
}

/// An outbox to follow.
pub(crate) struct OutboxSettings {
    pub(crate) url: String,
    /// The caches whose notices are taken, beside those of the rules.
    pub(crate) caches: Vec<String>,
}

/// What is logged, and how.
pub(crate) struct LogSettings {
    /// A name that `tracing` knows.
    pub(crate) level: &'static str,
    pub(crate) format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

/// The RESP port.
pub(crate) struct RespSettings {
    pub(crate) addr: SocketAddr,
    /// What `HELLO` and `INFO` say we are; clients switch features by it.
    pub(crate) identity: Identity,
    /// Required of the default user when set.
    pub(crate) password: Option<SecretString>,
    pub(crate) max_clients: usize,
    /// Largest key or value, in bytes.
    pub(crate) max_value: usize,
    /// Most arguments of one command.
    pub(crate) max_args: usize,
    /// A connection that has sent nothing for so long is closed; `None` never.
    pub(crate) idle_timeout: Option<Duration>,
    /// A command that has begun to arrive must be complete after this, plus a second for each
    /// MiB of it.
    pub(crate) frame_timeout: Duration,
    /// A client that has this many bytes of replies unread is disconnected.
    pub(crate) max_output: usize,
}

/// `server` and `version` of `HELLO`, `redis_version` of `INFO`.
pub(crate) struct Identity {
    pub(crate) server: String,
    pub(crate) version: String,
}

/// Lives that plain writes get.
pub(crate) struct TtlSettings {
    /// For keys that no named cache covers; `None` keeps them for ever, as Redis does.
    pub(crate) default: Option<Duration>,
    pub(crate) named: Vec<NamedTtl>,
}

/// A named cache: the keys that it covers and their life.
pub(crate) struct NamedTtl {
    pub(crate) name: String,
    /// A glob over the whole key.
    pub(crate) pattern: Vec<u8>,
    pub(crate) ttl: Duration,
}
