//! What stands in for the sockets where there are none: in simulation.
//!
//! Behind the feature `wire`, which no production build turns on. Everything above the sockets is
//! the code of production: greetings, frames, heartbeats, dials, links that are cut and opened
//! again. There is no TLS: what is carried is what would be in its sessions.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use larder_core::mesh::MAX_MESSAGE_BYTES;
use larder_core::runtime::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::message::{Message, Phase, take};
use crate::name::Versions;

/// One process's way to the others. Given to [`Config::over`](crate::Config::over).
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// Opens a door at this address. It is closed when it is dropped.
    ///
    /// # Errors
    ///
    /// If somebody else listens there.
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Door>>;

    /// Opens a connection to whoever listens there. May take as long as it likes: it is dropped
    /// when the greeting has taken too long.
    fn connect(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
}

/// Where others knock.
pub trait Door: Send + 'static {
    /// The next connection, and where it comes from. Dropping the future loses nothing.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>>;
}

/// A connection, as TCP has them: bytes arrive in order or not at all. Dropping it ends it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// What is written to a connection at once, for people who read a trace.
pub fn said(bytes: &[u8]) -> String {
    let mut left = BytesMut::from(bytes);
    let mut said = Vec::new();
    let open = Phase::Open {
        version: Versions::OURS.newest,
        most: MAX_MESSAGE_BYTES + 1,
    };
    while !left.is_empty() {
        let before = left.clone();
        let taken = take(&mut left, open).or_else(|_| {
            left = before;
            take(&mut left, Phase::Greeting)
        });
        match taken {
            Ok(Some(Message::Payload(bytes))) => said.push(crate::log::said(bytes)),
            Ok(Some(message)) => said.push(message.kind().to_owned()),
            Ok(None) | Err(_) => {
                said.push(format!("{} bytes", left.len()));
                break;
            }
        }
    }
    said.join(", ")
}
