//! The Larder node: the engine behind a RESP port, with an HTTP API.

fn main() {}
