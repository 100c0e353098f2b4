//! From values to [`Settings`].

use std::time::Duration;

use larder::WhenFenced;
use larder::embedded::{MemoryLimit, WhenFull};
use larder_core::breaker::BreakerPolicy;

use super::available;
use super::draft::{Draft, Named};
use super::value::Value;
use crate::settings::{
    Identity, LogFormat, LogSettings, NamedTtl, NearSettings, OutboxSettings, RespSettings,
    Settings, StoreSettings, TtlSettings,
};

/// The settings of a draft without errors.
pub(crate) fn build(draft: &Draft) -> Settings {
    let values = Values(draft);
    Settings {
        resp: resp(&values),
        http_addr: values.addr("http.addr"),
        ttl: TtlSettings {
            default: values.duration("ttl.default"),
            named: draft.named.iter().flat_map(named).collect(),
        },
        enabled: values.bool("enabled"),
        store: store(&values),
        near: NearSettings {
            size: values.number("near.size") as u64,
            ttl: values.duration("near.ttl"),
            when_fenced: match values.choice("near.when_fenced") {
                "serve-stale" => WhenFenced::ServeStale,
                _ => WhenFenced::Bypass,
            },
        },
        mesh: super::mesh::mesh(draft).ok().flatten(),
        name: values.word("node"),
        rules: draft.rules.clone(),
        outbox: values.word("outbox.url").map(|url| OutboxSettings {
            url,
            caches: values
                .word("outbox.caches")
                .map(|names| names.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
        }),
        shutdown_grace: values.duration("shutdown.grace").unwrap_or_default(),
        log: LogSettings {
            level: values.choice("log.level"),
            format: match values.choice("log.format") {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => LogFormat::Auto,
            },
        },
    }
}

fn resp(values: &Values<'_>) -> RespSettings {
    RespSettings {
        addr: values.addr("resp.addr"),
        identity: identity(values),
        password: match &values.0.get("resp.password").value {
            Value::Secret(password) => Some(password.clone()),
            _ => None,
        },
        max_clients: values.number("resp.max_clients"),
        max_value: values.number("resp.max_value"),
        max_args: values.number("resp.max_args"),
        idle_timeout: values.duration("resp.idle_timeout"),
        frame_timeout: values.duration("resp.frame_timeout").unwrap_or_default(),
        max_output: values.number("resp.max_output"),
    }
}

fn identity(values: &Values<'_>) -> Identity {
    let (server, version) = match values.choice("resp.identity") {
        "valkey-8.0" => ("valkey", "8.0.1"),
        "native" => ("larder", env!("CARGO_PKG_VERSION")),
        _ => ("redis", "7.4.0"),
    };
    let or = |path, otherwise: &str| values.word(path).unwrap_or_else(|| otherwise.to_owned());
    Identity {
        server: or("resp.server", server),
        version: or("resp.version", version),
    }
}

fn store(values: &Values<'_>) -> StoreSettings {
    match &values.0.get("url").value {
        Value::Url(url) if values.choice("type") == "redis" => StoreSettings::Redis {
            url: url.clone(),
            pool_min: values.number("pool.min_size"),
            pool_max: values.number("pool.max_size"),
            pool_timeout: values.duration("pool.timeout").unwrap_or_default(),
            breaker: breaker(values),
        },
        _ => StoreSettings::Memory(memory(values)),
    }
}

/// The most that a store in this process may hold; `None` if that is all there is.
fn memory(values: &Values<'_>) -> Option<MemoryLimit> {
    let bytes = match values.0.get("memory.max").value {
        Value::Size(bytes) => bytes,
        Value::Word(_) => available::memory()? / 2,
        _ => return None,
    };
    let mut limit = MemoryLimit::bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    limit.when_full = match values.choice("memory.when_full") {
        "refuse" => WhenFull::Refuse,
        _ => WhenFull::Evict,
    };
    Some(limit)
}

/// When the server is left alone; `None` for never.
fn breaker(values: &Values<'_>) -> Option<BreakerPolicy> {
    let policy = BreakerPolicy::default();
    let slow = values.duration("breaker.slow").unwrap_or(policy.slow);
    values
        .bool("breaker.enabled")
        .then_some(BreakerPolicy { slow, ..policy })
}

/// A named cache covers what its pattern says, or the keys `<name>:…` and `<namespace>:<name>:…`.
fn named((name, named): (&String, &Named)) -> Vec<NamedTtl> {
    let Some(Value::Duration(ttl)) = named.ttl.as_ref().map(|entry| &entry.value) else {
        return Vec::new();
    };
    let patterns = match named.pattern.as_ref().map(|entry| &entry.value) {
        Some(Value::Word(pattern)) => vec![pattern.clone()],
        _ => vec![format!("{name}:*"), format!("*:{name}:*")],
    };
    let covers = |pattern: String| NamedTtl {
        name: name.clone(),
        pattern: pattern.into_bytes(),
        ttl: *ttl,
    };
    patterns.into_iter().map(covers).collect()
}

/// The values of a draft by path and type. A path of another type is a mistake of this program,
/// which the test that builds the defaults finds.
struct Values<'a>(&'a Draft);

impl Values<'_> {
    fn bool(&self, path: &str) -> bool {
        match self.0.get(path).value {
            Value::Bool(value) => value,
            _ => unreachable!("{path} is either true or false"),
        }
    }

    fn choice(&self, path: &str) -> &'static str {
        match self.0.get(path).value {
            Value::Choice(word) => word,
            _ => unreachable!("{path} is a choice"),
        }
    }

    fn addr(&self, path: &str) -> std::net::SocketAddr {
        match self.0.get(path).value {
            Value::Addr(addr) => addr,
            _ => unreachable!("{path} is an address"),
        }
    }

    fn number(&self, path: &str) -> usize {
        match self.0.get(path).value {
            Value::Count(number) | Value::Size(number) => {
                usize::try_from(number).unwrap_or(usize::MAX)
            }
            _ => unreachable!("{path} is a number"),
        }
    }

    fn word(&self, path: &str) -> Option<String> {
        match &self.0.get(path).value {
            Value::Word(word) => Some(word.clone()),
            _ => None,
        }
    }

    fn duration(&self, path: &str) -> Option<Duration> {
        match self.0.get(path).value {
            Value::Duration(duration) => Some(duration),
            Value::Absent => None,
            _ => unreachable!("{path} is a duration"),
        }
    }
}
