//! Connections to the simulated server: bytes of requests in, bytes of answers out. They end with
//! the process that they were opened to.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::runtime::BoxFuture;
use larder_redis::wire::{Connection, Feed, Wire};
use larder_resp::{Limits, Protocol, ReplyWriter, RequestDecoder};
use tokio::sync::{mpsc, watch};

use super::SimRedis;

/// One connection.
#[derive(Clone)]
pub struct SimConnection {
    server: SimRedis,
    /// The process that it was opened to.
    process: u64,
    processes: watch::Receiver<u64>,
    /// Whether this side has ended it.
    given_up: Arc<watch::Sender<bool>>,
}

impl SimRedis {
    /// Opens a connection.
    pub fn connect(&self) -> SimConnection {
        let processes = self.0.process.subscribe();
        let process = *processes.borrow();
        SimConnection {
            server: self.clone(),
            process,
            processes,
            given_up: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl SimConnection {
    /// Whether the process at the other end is still the one that it was opened to.
    pub fn is_alive(&self) -> bool {
        *self.processes.borrow() == self.process
    }

    /// Done once [`SimConnection::is_alive`] no longer holds.
    pub async fn broken(&self) {
        let (mut processes, process) = (self.processes.clone(), self.process);
        // An error says that the server is gone as a whole.
        let _ = processes.wait_for(|present| *present != process).await;
    }

    /// Runs the commands in `requests` one after the other; gives their answers, or `None` if
    /// the connection is broken.
    ///
    /// # Panics
    ///
    /// If the bytes are no requests.
    pub fn serve(&self, requests: &[u8]) -> Option<Bytes> {
        if !self.is_alive() {
            return None;
        }
        let (mut buffer, mut out) = (BytesMut::from(requests), BytesMut::new());
        let mut decoder = RequestDecoder::new(Limits::default());
        while let Some(request) = decoder.decode(&mut buffer).expect("the bytes are requests") {
            let args: Vec<&[u8]> = request.iter().collect();
            let reply = self.server.run(&args);
            reply.write(&mut ReplyWriter::new(&mut out, Protocol::Resp2));
        }
        Some(out.freeze())
    }

    /// What a request is told on a broken connection.
    pub fn reset() -> Error {
        Error::new(ErrorKind::Unavailable, "the connection was reset")
    }
}

/// The shortest way to the server: everything arrives at once, and nothing is lost.
pub struct Direct(pub SimRedis);

impl Wire for Direct {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>>> {
        let connection: Box<dyn Connection> = Box::new(self.0.connect());
        Box::pin(std::future::ready(Ok(connection)))
    }

    fn subscribe<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<Box<dyn Feed>>> {
        let feed: Box<dyn Feed> = Box::new(Messages(self.0.subscribe(channel)));
        Box::pin(std::future::ready(Ok(feed)))
    }
}

impl Connection for SimConnection {
    fn ask(&self, requests: Vec<u8>) -> BoxFuture<'_, Result<Bytes>> {
        let answers = (!self.is_closed()).then(|| self.serve(&requests)).flatten();
        Box::pin(std::future::ready(answers.ok_or_else(SimConnection::reset)))
    }

    fn is_closed(&self) -> bool {
        *self.given_up.borrow() || !self.is_alive()
    }

    fn close(&self) {
        self.given_up.send_replace(true);
    }

    fn closed(&self) -> BoxFuture<'static, ()> {
        let (connection, mut given_up) = (self.clone(), self.given_up.subscribe());
        Box::pin(async move {
            tokio::select! {
                biased;
                () = connection.broken() => {}
                _ = given_up.wait_for(|is_given_up| *is_given_up) => {}
            }
        })
    }
}

struct Messages(mpsc::Receiver<Bytes>);

impl Feed for Messages {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.0.recv())
    }
}
