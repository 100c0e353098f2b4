//! Every bound that is not a setting, with its reason.

/// Longest key on the wire, in bytes. Keys are held once per near entry and travel on the bus,
/// so they are names, not payloads.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// Default for the largest value, in bytes: what one command may make a server or client buffer.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// Most keys in one script call: a call of 64 keys holds a Redis server for about 0.4 ms, and
/// everybody else waits.
pub const MAX_KEYS_PER_SCRIPT: usize = 64;

/// Databases that `SELECT` reaches, as Redis has by default.
pub const DATABASES: u8 = 16;

/// Longest namespace or entity name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
