//! Accepts connections on the RESP port, up to a limit, until the node stops.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use larder_core::runtime::Runtime;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::node::SharedNode;
use crate::session::{Client, Session, Shared};

/// The pause after a failed accept doubles up to this. Failures come from a lack of descriptors
/// or memory, which only time gives back.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// How long a peer that is turned away gets to take the reason.
const FAREWELL: Duration = Duration::from_secs(1);
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// Serves `listener` until the node is stopping and all connections are done.
pub(crate) async fn run(node: SharedNode, listener: TcpListener) {
    let local = listener.local_addr().unwrap_or(node.settings.resp.addr);
    let shared = Arc::new(Shared::new(node, local));
    let mut stopped = pin!(stopped(shared.node.stopping.clone()));
    let mut connections = JoinSet::new();
    let mut pause = SHORTEST_PAUSE;
    loop {
        tokio::select! {
            () = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    pause = SHORTEST_PAUSE;
                    accept(&shared, &mut connections, stream, peer);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    runtime(&shared).sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            },
        }
    }
    drop(listener);
    drain(&shared, connections).await;
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that whoever could say "stop" is gone.
    let _ = stopping.wait_for(|stops| *stops).await;
}

fn runtime(shared: &Shared) -> &Arc<dyn Runtime> {
    shared.node.cache.runtime()
}

fn accept(
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    if shared.clients.len() >= shared.node.settings.resp.max_clients {
        shared.node.metrics.rejected_connection();
        let farewell = runtime(shared).sleep(FAREWELL);
        connections.spawn(turn_away(stream, farewell));
        return;
    }
    match open(shared, stream, peer) {
        Ok(connection) => {
            connections.spawn(connection.serve());
        }
        Err(error) => tracing::debug!(%peer, %error, "a connection ended before it began"),
    }
}

fn open(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) -> io::Result<Connection> {
    // Replies are written whole, so waiting for more would only delay them.
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let now = runtime(shared).now();
    let client = Arc::new(Client::new(shared.clients.next_id(), peer, local, now));
    shared.clients.insert(&client);
    let session = Session::new(shared.clone(), client);
    Ok(Connection::new(stream, session))
}

async fn turn_away(mut stream: TcpStream, farewell: impl Future<Output = ()>) {
    tokio::select! {
        _ = stream.write_all(TOO_MANY) => {}
        () = farewell => {}
    }
}

async fn drain(shared: &Shared, mut connections: JoinSet<()>) {
    shared.clients.wake_all();
    let deadline = runtime(shared).sleep(shared.node.settings.shutdown_grace);
    let all_done = async { while connections.join_next().await.is_some() {} };
    let finished = tokio::select! {
        () = all_done => true,
        () = deadline => false,
    };
    if !finished {
        let left = connections.len();
        tracing::warn!(left, "connections did not finish in time and were cut off");
    }
}
