//! Opens what the node stores into.
//!
//! Opening never waits for a server: a node whose Redis is away starts, says so when asked, and
//! serves as soon as it is back.

mod nothing;

use std::sync::Arc;

use larder::Near;
use larder::bytes::{ByteCache, Copies};
use larder::embedded::Embedded;
use larder::mesh::{MeshConfig, MeshStore};
use larder::redis::Redis;
use larder_core::{Error, Runtime};
use secrecy::ExposeSecret;

use crate::settings::{Settings, StoreSettings};
use nothing::Nothing;

/// A store that is ready for use.
pub(crate) struct Opened {
    pub(crate) cache: ByteCache,
    /// The store, if it is in this process and counts what it holds.
    pub(crate) embedded: Option<Embedded>,
    /// The node among others.
    pub(crate) mesh: Option<MeshStore>,
    /// Whether values of a server are kept near.
    pub(crate) keeps_copies: bool,
    /// The value of the label `tier`.
    pub(crate) tier: &'static str,
}

/// Says what is wrong with the address of a server, without repeating it.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    // Such a URL falls apart in the wrong place, and what is said about its parts would show some
    // of the password.
    if password_breaks(url) {
        return Err("in a password, / ? # and @ must be written as %2F, %3F, %23 and %40".into());
    }
    Redis::open(url)
        .map(drop)
        .map_err(|error| error.message().to_owned())
}

/// Whether the password holds a character that ends the part of a URL in which it stands.
fn password_breaks(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']);
    end.is_some_and(|end| end > 0 && rest[end..].contains('@'))
}

/// Opens what `settings` name.
pub(crate) async fn open(settings: &Settings, runtime: Arc<dyn Runtime>) -> Result<Opened, Error> {
    if !settings.enabled {
        let cache = ByteCache::new(Arc::new(Nothing::new(runtime.clone())), runtime);
        return Ok(Opened::new(cache, None, "embedded"));
    }
    match &settings.store {
        StoreSettings::Memory(limit) => {
            let embedded = match limit {
                Some(limit) => Embedded::within(runtime.clone(), *limit),
                None => Embedded::new(runtime.clone()),
            };
            if let Some(config) = &settings.mesh {
                return meshed(config.clone(), embedded, runtime).await;
            }
            let cache = ByteCache::sole(Arc::new(embedded.clone()), runtime);
            Ok(Opened::new(cache, Some(embedded), "embedded"))
        }
        StoreSettings::Redis {
            url,
            pool_min,
            pool_max,
            pool_timeout,
            breaker,
        } => {
            let redis = Redis::open(url.expose_secret())?;
            let redis = redis.pool(*pool_min, *pool_max, *pool_timeout);
            let redis = match breaker {
                Some(policy) => redis.breaker(policy.clone()),
                None => redis.without_breaker(),
            };
            let store = Arc::new(redis.store(runtime.clone()));
            let cache = match copies(settings) {
                Some(copies) => ByteCache::with_copies(store, runtime, copies)?,
                None => ByteCache::new(store, runtime),
            };
            Ok(Opened::new(cache, None, "l2"))
        }
    }
}

/// This node among others.
async fn meshed(
    config: MeshConfig,
    embedded: Embedded,
    runtime: Arc<dyn Runtime>,
) -> Result<Opened, Error> {
    let mesh = MeshStore::replicated(config, embedded.clone(), runtime.clone()).await?;
    let cache = ByteCache::new(Arc::new(mesh.clone()), runtime);
    Ok(Opened {
        mesh: Some(mesh),
        ..Opened::new(cache, Some(embedded), "embedded")
    })
}

/// The near copies that `settings` ask for.
fn copies(settings: &Settings) -> Option<Copies> {
    let near = &settings.near;
    if near.size == 0 {
        return None;
    }
    let mut kept = Near::bytes(near.size);
    if let Some(ttl) = near.ttl {
        kept = kept.ttl(ttl);
    }
    let mut copies = Copies::of(kept).when_fenced(near.when_fenced);
    if let Some(name) = &settings.name {
        copies = copies.node(name.as_str());
    }
    Some(copies)
}

impl Opened {
    fn new(cache: ByteCache, embedded: Option<Embedded>, tier: &'static str) -> Opened {
        Opened {
            keeps_copies: cache.keeps_copies(),
            cache,
            embedded,
            mesh: None,
            tier,
        }
    }
}
