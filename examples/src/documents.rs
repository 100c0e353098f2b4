//! The samples of the documents in Rust; `docs/from-the-documents.md` shows parts of these files.

mod batches;
mod cache_aside;
mod coherence;
mod expiration;
mod fail_safe;
mod invalidator;
mod keys;
mod source;
mod two_tiers;
mod write_through;
