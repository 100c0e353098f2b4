//! Where the server is and how much may be asked of it.

mod address;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder_core::breaker::BreakerPolicy;
use larder_core::codec::CodecId;
use larder_core::error::Result;
use larder_core::runtime::Runtime;

use crate::pace::Pace;
use crate::plain::PlainStore;
use crate::store::RedisStore;
#[cfg(feature = "wire")]
use crate::wire::Wire;

pub(crate) use address::{Address, Endpoint, Tls};

/// A Redis or Valkey server as a remote tier: settings now, connections on first use.
#[derive(Clone)]
pub struct Redis {
    pub(crate) address: Address,
    pub(crate) key_prefix: Bytes,
    pub(crate) limits: Limits,
    pub(crate) breaker: Option<BreakerPolicy>,
    #[cfg(feature = "wire")]
    pub(crate) wire: Option<Arc<dyn Wire>>,
}

/// How much may be asked of a server, and how long it may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) pool_min: usize,
    pub(crate) pool_max: usize,
    pub(crate) pool_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_millis(500),
            // About 5 ms of work for one server and, at 1 KiB a value, 1 MiB in its buffers:
            // enough to keep it busy, little enough that a stall is noticed and not hoarded.
            max_in_flight: 1024,
            pool_min: 0,
            pool_max: 20,
            pool_timeout: Duration::from_secs(5),
        }
    }
}

impl Redis {
    /// Reads the address of a server. Opens nothing.
    ///
    /// * `redis://user:password@host:6379/2`: the number is the database; all but the host may
    ///   be left out; `rediss://` for TLS; `valkey://` and `valkeys://` mean the same.
    /// * `rediss://host?ca_file=/etc/ca.pem`: trusts this authority instead of the system's;
    ///   `rediss://host#insecure` trusts anybody.
    /// * `unix:///run/redis.sock?db=2&user=u&password=p`, or `redis+unix://`.
    ///
    /// Names and passwords are percent-decoded. The error says which part is wrong; it never
    /// shows the password.
    pub fn open(url: &str) -> Result<Redis> {
        Ok(Redis {
            address: Address::parse(url)?,
            key_prefix: Bytes::new(),
            limits: Limits::default(),
            breaker: Some(BreakerPolicy::default()),
            #[cfg(feature = "wire")]
            wire: None,
        })
    }

    /// Puts `prefix` before every key, system keys included: several systems can share one
    /// database without seeing each other. Default: none.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<Bytes>) -> Redis {
        self.key_prefix = prefix.into();
        self
    }

    /// How long opening a connection may take, TLS and login included; also how long a command
    /// waits for the first connection. Default: 1 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Redis {
        self.limits.connect_timeout = limit;
        self
    }

    /// How long an answer may take; also how long a command waits for its turn when
    /// [`max_in_flight`](Redis::max_in_flight) is reached. Default: 500 ms.
    #[must_use]
    pub fn response_timeout(mut self, limit: Duration) -> Redis {
        self.limits.response_timeout = limit;
        self
    }

    /// Most commands under way at once; more wait. Default: 1024. At least 1.
    #[must_use]
    pub fn max_in_flight(mut self, commands: usize) -> Redis {
        self.limits.max_in_flight = commands.max(1);
        self
    }

    /// Connections for slow commands (scans): kept open after first use, most at once (at least
    /// 1), and how long to wait for a free one. Default: 0, 20, 5 s.
    #[must_use]
    pub fn pool(mut self, min: usize, max: usize, acquire_timeout: Duration) -> Redis {
        self.limits.pool_min = min;
        self.limits.pool_max = max.max(1);
        self.limits.pool_timeout = acquire_timeout;
        self
    }

    /// When the server is left alone for a while, because too many calls fail or are slow. Commands
    /// fail at once then. Default: [`BreakerPolicy::default`].
    #[must_use]
    pub fn breaker(mut self, policy: BreakerPolicy) -> Redis {
        self.breaker = Some(policy);
        self
    }

    /// Asks the server whatever happens; each caller waits for its own timeout.
    #[must_use]
    pub fn without_breaker(mut self) -> Redis {
        self.breaker = None;
        self
    }

    /// Trusts the authorities in this PEM file instead of the system's. Turns TLS on. The file is
    /// read at each connection, so a renewed one is picked up.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Redis {
        self.address.tls = Tls::Authority(path.into());
        self
    }

    /// TLS with whoever answers: encrypts, but proves nothing. For tests only.
    #[must_use]
    pub fn accept_any_certificate(mut self) -> Redis {
        self.address.tls = Tls::AcceptAny;
        self
    }

    /// Reaches the server over `wire` instead of sockets; of the address only the database is
    /// looked at, for the name of the channel. Time and tasks are those of the store's runtime.
    #[cfg(feature = "wire")]
    #[must_use]
    pub fn over(mut self, wire: Arc<dyn Wire>) -> Redis {
        self.wire = Some(wire);
        self
    }

    /// Who waits and runs tasks for the connections.
    pub(crate) fn pace(&self, runtime: &Arc<dyn Runtime>) -> Pace {
        #[cfg(feature = "wire")]
        if self.wire.is_some() {
            return Pace::Runtime(Arc::clone(runtime));
        }
        let _ = runtime;
        Pace::Tokio
    }

    /// The store of the enveloped layout. Opens nothing and waits for nothing: the first command
    /// connects.
    pub fn store(self, runtime: Arc<dyn Runtime>) -> RedisStore {
        RedisStore::new(self, runtime)
    }

    /// The store of the plain layout, in which `codec` writes every value. Opens nothing.
    pub fn plain_store(self, runtime: Arc<dyn Runtime>, codec: CodecId) -> PlainStore {
        PlainStore::new(self, runtime, codec)
    }
}

/// The address without user and password.
impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address, f)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("address", &self.address)
            .field("key_prefix", &self.key_prefix)
            .field("limits", &self.limits)
            .field("breaker", &self.breaker)
            .finish()
    }
}
