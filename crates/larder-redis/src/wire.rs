//! What stands in for the sockets where there are none: in simulation.
//!
//! Behind the feature `wire`, which no production build turns on. Everything above the sockets is
//! the code of production: calls become the bytes that a server would read, answers are read from
//! the bytes that it would write, connections are kept alive, given up and opened again. Time and
//! tasks are those of the store's [`Runtime`](larder_core::runtime::Runtime), and tokio's are not
//! needed.

use bytes::Bytes;
use larder_core::error::Result;
use larder_core::runtime::BoxFuture;

/// A way to one server. Given to [`Redis::over`](crate::Redis::over).
///
/// Both methods may take as long as they like: they are dropped after the connect timeout.
pub trait Wire: Send + Sync + 'static {
    /// Opens a connection. There is no login: the first request is the first command.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>>>;

    /// Opens a connection of its own that is told of everything on `channel` from now on.
    fn subscribe<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<Box<dyn Feed>>>;
}

/// An open connection, shared by any number of requests; closed when dropped.
pub trait Connection: Send + Sync + 'static {
    /// Carries `requests`, one or several in RESP, to the server, and gives the bytes of all
    /// answers, in order. Pending for ever if they are lost. When the future is dropped it is
    /// open whether the server has done it.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the connection breaks.
    fn ask(&self, requests: Vec<u8>) -> BoxFuture<'_, Result<Bytes>>;

    /// Whether the connection has ended, as far as is known on this side.
    fn is_closed(&self) -> bool;

    /// Ends the connection: [`Connection::closed`] is done, and nothing is asked any more.
    fn close(&self);

    /// Done once [`Connection::is_closed`] holds.
    fn closed(&self) -> BoxFuture<'static, ()>;
}

/// Messages of one channel; the connection is closed when it is dropped.
pub trait Feed: Send {
    /// The next message; `None` once the connection is lost. Dropping the future loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>>;
}

/// The name of the script that a call names by its hash, for people who read a trace.
pub fn script_name(hash: &[u8]) -> Option<&'static str> {
    crate::scripts::name(hash)
}

/// The text of every script, with its name.
pub fn scripts() -> Vec<(&'static str, &'static str)> {
    let scripts = crate::scripts::all().into_iter();
    scripts
        .map(|(name, script)| (name, script.text()))
        .collect()
}

/// The text of a file that scripts are made of, by its name.
pub fn script_file(name: &str) -> Option<&'static str> {
    crate::scripts::file(name)
}
