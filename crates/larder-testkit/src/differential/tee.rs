//! Larder's own stores over both servers at once: a wire that runs every request on both.

use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::runtime::BoxFuture;
use larder_redis::wire::{Connection, Feed, Wire};
use larder_resp::{Limits, Protocol, ReplyWriter, RequestDecoder};

use super::pair::Pair;

/// The servers, shared by the stores and the steps beside them.
pub(super) type Shared = Arc<Mutex<Pair>>;

/// The way of a store to both servers.
#[derive(Clone)]
pub(super) struct Tee(pub(super) Shared);

fn halted() -> Error {
    Error::new(ErrorKind::Unavailable, "the sequence has ended")
}

impl Tee {
    fn serve(&self, requests: &[u8]) -> Result<Bytes> {
        let (mut buffer, mut out) = (BytesMut::from(requests), BytesMut::new());
        let mut decoder = RequestDecoder::new(Limits::default());
        while let Some(request) = decoder.decode(&mut buffer).expect("a store sends requests") {
            let args: Vec<Bytes> = request.iter().map(Bytes::copy_from_slice).collect();
            let mut pair = self.0.lock().expect("a step does not panic");
            let reply = pair.run_for_store(&args).ok_or_else(halted)?;
            reply.write(&mut ReplyWriter::new(&mut out, Protocol::Resp2));
        }
        Ok(out.freeze())
    }
}

impl Wire for Tee {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>>> {
        let connection: Box<dyn Connection> = Box::new(self.clone());
        Box::pin(std::future::ready(Ok(connection)))
    }

    /// Messages are compared without a store.
    fn subscribe<'a>(&'a self, _channel: &'a [u8]) -> BoxFuture<'a, Result<Box<dyn Feed>>> {
        Box::pin(std::future::ready(Err(halted())))
    }
}

impl Connection for Tee {
    fn ask(&self, requests: Vec<u8>) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(std::future::ready(self.serve(&requests)))
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn close(&self) {}

    fn closed(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}
