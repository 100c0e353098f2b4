//! RESP2 and RESP3 over byte buffers: requests in, replies out, with limits.
//!
//! The crate is pure. It knows no sockets, no clocks and no runtime: a caller appends the bytes it
//! received to a [`BytesMut`](bytes::BytesMut), asks a decoder for the next frame, and hands the
//! bytes a [`ReplyWriter`] produced to whoever sends them. Nothing here ever trusts a length that
//! a peer merely announced: memory grows with the bytes that really arrived.
//!
//! | Direction | Type | Used by |
//! |---|---|---|
//! | bytes → command | [`RequestDecoder`] gives [`Request`] | servers |
//! | reply → bytes | [`ReplyWriter`], or [`Reply`] built as a value | servers |
//! | command → bytes | [`write_command`] | clients, tests |
//! | bytes → reply | [`ReplyDecoder`] gives [`Reply`] | clients, tests |
//!
//! What it deliberately does not do: it knows no command names beyond those needed to recognise a
//! browser knocking on the wrong port, and it does not decide what happens after an error; it only
//! says that the stream cannot be continued.

#![forbid(unsafe_code)]

mod protocol;

mod limits;

mod protocol_error;

mod request;

mod reply;

pub mod number;

mod growth;

mod line;

pub use limits::{Limits, ReplyLimits};
pub use protocol::Protocol;
pub use protocol_error::ProtocolError;
pub use reply::{Reply, ReplyDecoder, ReplyError, ReplyWriter};
pub use request::{Request, RequestDecoder, UnbalancedQuotes, write_command};
