//! Larder: a coherent, multi-tier distributed cache.

#![forbid(unsafe_code)]

pub mod bytes;
pub mod embedded;
mod runtime;

pub use larder_core as core;
pub use runtime::TokioRuntime;
