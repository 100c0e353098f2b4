//! The Larder node: the engine behind a RESP port, with an HTTP API.

#[allow(dead_code, reason = "parts that use it follow")]
mod metrics;
#[allow(dead_code, reason = "parts that use it follow")]
mod node;
#[allow(dead_code, reason = "parts that use it follow")]
mod settings;

fn main() {}
