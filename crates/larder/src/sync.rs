//! Locks and atomics of whatever threads share here, from one place, so that tests can put a
//! scheduler under them that tries orders of threads (docs/threads.md).
//!
//! Without the feature `shuttle` there is nothing in here but other names for parking_lot's locks,
//! the standard library's atomics and tokio's task-local variables. What threads share in `near`,
//! `engine`, `link`, `depend` and `tags` comes from here; counters for statistics, on which nothing
//! depends, and the embedded store, whose operations are one step each, need not.

#[cfg(feature = "shuttle")]
mod scheduled;

#[cfg(not(feature = "shuttle"))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(feature = "shuttle")]
pub(crate) use scheduled::{Mutex, MutexGuard, RwLock, TaskLocal, task_local};
#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::atomic;
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::atomic;
#[cfg(not(feature = "shuttle"))]
pub(crate) use tokio::task_local;
