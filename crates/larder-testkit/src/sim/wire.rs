//! The way of Larder's Redis store to the simulated server: every request is one round trip over its
//! way, with the delays and losses of that way, and connections break as real ones do.
//!
//! A connection ends with the process at its other end. Its client learns of that by a request that
//! is refused, by word from the server's machine, which a cut link holds up, or by nothing: then
//! the silence makes it give up.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use larder_core::error::Result;
use larder_core::runtime::BoxFuture;
use larder_redis::wire::{Connection, Feed, Wire, script_name};
use larder_resp::{Limits, RequestDecoder};
use tokio::sync::{mpsc, watch};

use super::Way;
use super::way::Source;
use crate::simredis::{SimConnection, SimRedis};

/// One node's way to the server.
pub(super) struct SimWire {
    pub(super) way: Way,
    pub(super) server: SimRedis,
}

impl Wire for SimWire {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>>> {
        let (way, server) = (self.way.clone(), self.server.clone());
        let opening = way.carry(|| "connect".to_owned(), || async move { server.connect() });
        Box::pin(async move {
            let there = or_never(opening.await).await;
            Ok(Box::new(Open::new(way, there)) as Box<dyn Connection>)
        })
    }

    fn subscribe<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<Box<dyn Feed>>> {
        let (way, server) = (self.way.clone(), self.server.clone());
        let channel = Bytes::copy_from_slice(channel);
        let subscribing = way.carry(
            || "subscribe".to_owned(),
            || async move { server.subscribe(&channel) },
        );
        Box::pin(async move {
            let there = or_never(subscribing.await).await;
            let (deliver, arriving) = mpsc::unbounded_channel();
            let carrying = way.clone();
            way.spawn(async move {
                let end = deliver.clone();
                carrying.clone().push(there, deliver).await;
                carrying.arrival().await;
                drop(end);
            });
            Ok(Box::new(Arriving(arriving)) as Box<dyn Feed>)
        })
    }
}

/// What never comes is waited for until the time limit of whoever asks.
async fn or_never<T>(reply: Option<T>) -> T {
    match reply {
        Some(reply) => reply,
        None => std::future::pending().await,
    }
}

async fn answered<T>(asking: BoxFuture<'static, Option<T>>) -> T {
    or_never(asking.await).await
}

/// Done once a connection has ended.
async fn over(mut ended: watch::Receiver<bool>) {
    // An error says that nobody holds the connection any more.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// The near end of a connection.
struct Open {
    way: Way,
    there: SimConnection,
    /// Whether it has ended, as far as this side knows.
    ended: Arc<watch::Sender<bool>>,
}

impl Open {
    fn new(way: Way, there: SimConnection) -> Open {
        let ended = Arc::new(watch::Sender::new(false));
        let (word, told, broken) = (way.clone(), ended.clone(), there.clone());
        way.spawn(async move {
            // In a fixed order: what is not decided by the seed would make runs differ.
            let is_broken = tokio::select! {
                biased;
                () = broken.broken() => true,
                () = over(told.subscribe()) => false,
            };
            if is_broken {
                word.arrival().await;
                told.send_replace(true);
            }
        });
        Open { way, there, ended }
    }
}

impl Connection for Open {
    fn ask(&self, requests: Vec<u8>) -> BoxFuture<'_, Result<Bytes>> {
        if self.is_closed() {
            return Box::pin(std::future::ready(Err(SimConnection::reset())));
        }
        let requests = Bytes::from(requests);
        let (there, text) = (self.there.clone(), requests.clone());
        let asking = self.way.carry(
            move || said(&text),
            move || async move { there.serve(&requests) },
        );
        let ended = self.closed();
        Box::pin(async move {
            let answers = tokio::select! {
                biased;
                answers = answered(asking) => answers,
                () = ended => None,
            };
            if answers.is_none() {
                self.close();
            }
            answers.ok_or_else(SimConnection::reset)
        })
    }

    fn is_closed(&self) -> bool {
        *self.ended.borrow()
    }

    fn close(&self) {
        self.ended.send_replace(true);
    }

    fn closed(&self) -> BoxFuture<'static, ()> {
        Box::pin(over(self.ended.subscribe()))
    }
}

/// Requests as people can read them: names and first keys.
fn said(requests: &[u8]) -> String {
    let (mut buffer, mut said) = (BytesMut::from(requests), Vec::new());
    let mut decoder = RequestDecoder::new(Limits::default());
    while let Ok(Some(request)) = decoder.decode(&mut buffer) {
        let text = |at: usize| request.get(at).unwrap_or_default().escape_ascii();
        said.push(match (request.name(), request.get(1)) {
            (b"EVALSHA", Some(hash)) => {
                let name = script_name(hash).unwrap_or("a script");
                format!("{name} {}", text(3))
            }
            (b"EVAL", _) => format!("a script by its text {}", text(3)),
            (_, None) => text(0).to_string(),
            _ => format!("{} {}", text(0), text(1)),
        });
    }
    said.join(", ")
}

impl Source for mpsc::Receiver<Bytes> {
    type Message = Bytes;

    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.recv())
    }
}

struct Arriving(mpsc::UnboundedReceiver<Bytes>);

impl Feed for Arriving {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.0.recv())
    }
}
