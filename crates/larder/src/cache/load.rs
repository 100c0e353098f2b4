//! Loading: from the types of a caller to those of the engine, and back.

use std::error::Error as StdError;
use std::sync::Arc;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::Key;

use super::Cache;
use crate::engine::{EngineKey, Load};
use crate::loaded::Loaded;
use crate::loader::{Cx, Failure, LoadError, LoadFn, Orders};
use crate::options::LoadOptions;

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Loads, or joins a load, as long as the caller waits.
    pub(super) async fn load<E, F, Fut>(
        &self,
        wire: EngineKey,
        key: K,
        options: LoadOptions<V>,
        loader: F,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let engine = &self.engine;
        let patience = engine.protection.patience(&options, engine.runtime.now());
        let mut load = Some(load_of(key, loader));
        loop {
            let failure = match engine.fly(&wire, &mut load, patience).await {
                Ok(landed) => {
                    engine.read_in_load(&wire, &landed.entry, landed.is_stale());
                    if landed.entry.is_nothing() {
                        return Err(LoadError::Absent);
                    }
                    return Ok(engine.loaded(landed));
                }
                Err(failure) => failure,
            };
            let Some(error) = told(failure.clone(), load.is_some()) else {
                continue;
            };
            return match options.default {
                Some(value) if !matches!(failure, Failure::Reentrant) => {
                    let landed = engine.default_of(&wire, value, failure);
                    engine.read_in_load(&wire, &landed.entry, true);
                    Ok(engine.loaded(landed))
                }
                _ => Err(error),
            };
        }
    }

    /// The same with the loader of a loading cache.
    pub(super) async fn load_through(
        &self,
        wire: EngineKey,
        key: K,
        loader: &Arc<LoadFn<K, V>>,
    ) -> Result<Option<Loaded<V>>> {
        type Cause = Arc<dyn StdError + Send + Sync>;
        let loader = loader.clone();
        let options = LoadOptions::new();
        let failed = |message| Error::new(ErrorKind::Load, message);
        match self.load(wire, key, options, move |cx| loader(cx)).await {
            Ok(loaded) => Ok(Some(loaded)),
            Err(LoadError::Absent) => Ok(None),
            Err(LoadError::<Cause>::Cache(error)) => Err(error),
            Err(LoadError::Loader(error)) => {
                let cause: Cause = (*error).clone();
                Err(Error::with_source(
                    ErrorKind::Load,
                    "the loader failed",
                    cause,
                ))
            }
            Err(LoadError::Panicked(message)) => {
                Err(failed(format!("the loader panicked: {message}")))
            }
            Err(LoadError::Failed(message)) => Err(failed(format!("the loader failed: {message}"))),
        }
    }
}

/// What a caller is told of a failure; `None` if it is to try its own load, which has not been.
pub(super) fn told<E: Send + Sync + 'static>(
    failure: Failure,
    has_load: bool,
) -> Option<LoadError<E>> {
    if matches!(failure, Failure::Reentrant) {
        return Some(LoadError::Cache(reentrant()));
    }
    match failure.told() {
        Ok(error) => Some(error),
        // Another caller's loader failed with an error of another type, or ended without an outcome.
        Err(_) if has_load => None,
        Err(_) => Some(LoadError::Cache(unfinished())),
    }
}

/// A load that has not begun.
pub(super) fn load_of<K, V, E, F, Fut>(key: K, loader: F) -> Load<V>
where
    K: Send + 'static,
    E: Send + Sync + 'static,
    F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    let orders = Arc::new(Orders::default());
    let its_orders = orders.clone();
    let start = Box::new(move |previous| -> larder_core::BoxFuture<'static, _> {
        let loading = loader(Cx::new(key, its_orders, previous));
        Box::pin(async move {
            loading
                .await
                .map_err(|error: E| Failure::Loader(Arc::new(error)))
        })
    });
    Load {
        start,
        orders,
        seat: None,
    }
}

fn reentrant() -> Error {
    let message = "the loader asks, itself or through other loads, for the key that it is loading; \
                   that could never end";
    Error::new(ErrorKind::Load, message)
}

fn unfinished() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the runtime was shut down before the load had ended",
    )
}
