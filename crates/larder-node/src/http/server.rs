//! Connections of the HTTP port, each within limits.
//!
//! This is hyper by hand instead of axum's `serve`, which has no limit of connections and none
//! for the time that a request's head may take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::node::SharedNode;

/// Most connections at once: some scrapers, probes and people.
const MAX_CONNECTIONS: usize = 64;

/// How long a request's head may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);

/// Room for the head of a request.
const MAX_HEAD: usize = 16 << 10;

/// The pause after a failure to accept, which is most often a lack of file descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
    content-length: 0\r\nretry-after: 1\r\n\r\n";

/// Serves until `closing` becomes `true` and what is under way has been answered.
pub(crate) async fn run(
    node: SharedNode,
    listener: TcpListener,
    mut closing: watch::Receiver<bool>,
) {
    let router = super::router(node.clone());
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // LIMIT: no more tasks than permits, and those that turn clients away, which end at once.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        match (accepted, permits.clone().try_acquire_owned()) {
            (Ok((stream, _)), Ok(permit)) => {
                let connection = Connection {
                    router: router.clone(),
                    resp_port: node.settings.resp.addr.port(),
                    closing: closing.clone(),
                    _permit: permit,
                };
                connections.spawn(connection.serve(stream));
            }
            (Ok((stream, _)), Err(_)) => {
                // A fresh socket has room for this; a client that it does not reach loses nothing.
                let _ = stream.try_write(BUSY);
            }
            (Err(error), _) => {
                tracing::warn!(%error, "the HTTP port cannot accept a connection");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

struct Connection {
    router: Router,
    resp_port: u16,
    closing: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(mut self, mut stream: TcpStream) {
        if timeout(HEAD, speaks_resp(&stream)).await.unwrap_or(true) {
            return self.redirect(&mut stream).await;
        }
        let service = TowerToHyperService::new(self.router);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut is_closing = false;
        loop {
            tokio::select! {
                // What breaks a connection is the client's affair, and logged nowhere.
                _ = &mut connection => return,
                _ = self.closing.wait_for(|closing| *closing), if !is_closing => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Tells a Redis client, or one that says nothing, where it should have gone.
    async fn redirect(&self, stream: &mut TcpStream) {
        let port = self.resp_port;
        let line = format!("-ERR this is the HTTP port of larder; RESP is on port {port}\r\n");
        // The client may be gone.
        let _ = stream.write_all(line.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// Whether the first byte is that of a RESP command; no request of HTTP begins with it.
async fn speaks_resp(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1) if first == *b"*")
}
