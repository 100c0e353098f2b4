//! The allocator: jemalloc, because it gives memory back.
//!
//! A cache fills and empties. After 200 000 values of 1 KiB and `FLUSHALL`, the system's allocator
//! and mimalloc kept all 160 MiB for themselves, glibc's for good and mimalloc at least as long as
//! nothing else was allocated. With this one, a thread in the background returns what has not
//! been used for a second; `.cargo/config.toml` says so when it is compiled.

use tikv_jemallocator::Jemalloc;

/// The allocator of the whole process.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
