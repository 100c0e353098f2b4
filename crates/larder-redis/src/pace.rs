//! Time and tasks of connections: tokio's, as the sockets need it; without sockets the runtime's.

use std::future::Future;
#[cfg(feature = "wire")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "wire")]
use larder_core::runtime::Runtime;

/// Who waits and who runs tasks.
pub(crate) enum Pace {
    /// Tokio, wherever the caller is run by it.
    Tokio,
    /// The runtime of the store.
    #[cfg(feature = "wire")]
    Runtime(Arc<dyn Runtime>),
}

impl Pace {
    /// Waits for `work`, at most so long.
    pub(crate) async fn within<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        match self {
            Pace::Tokio => tokio::time::timeout(limit, work).await.ok(),
            #[cfg(feature = "wire")]
            Pace::Runtime(runtime) => {
                // In this order, as tokio has it: what is done counts although time is over.
                tokio::select! {
                    biased;
                    done = work => Some(done),
                    () = runtime.sleep(limit) => None,
                }
            }
        }
    }

    /// Waits.
    pub(crate) async fn rest(&self, time: Duration) {
        match self {
            Pace::Tokio => tokio::time::sleep(time).await,
            #[cfg(feature = "wire")]
            Pace::Runtime(runtime) => runtime.sleep(time).await,
        }
    }

    /// Runs `work` to its end, independent of the caller.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self {
            Pace::Tokio => drop(tokio::spawn(work)),
            #[cfg(feature = "wire")]
            Pace::Runtime(runtime) => runtime.spawn(Box::pin(work)),
        }
    }
}
