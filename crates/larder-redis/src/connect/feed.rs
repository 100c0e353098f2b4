//! A connection that is told of everything on one channel.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use larder_core::error::Result;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{in_time, login, socket};
use crate::fault;
use crate::line::Dialer;

/// Messages that wait for a slow reader. With more the feed ends: whoever is that far behind is
/// served better by reading the log.
const BUFFERED: usize = 1024;

/// Messages, until the connection is lost or the reader too slow. Dropping it closes the
/// connection.
pub(crate) enum Feed {
    Socket(Pumped),
    #[cfg(feature = "wire")]
    Wire(Box<dyn crate::wire::Feed>),
}

/// What a task takes from a connection.
pub(crate) struct Pumped {
    messages: mpsc::Receiver<Bytes>,
    pump: AbortHandle,
}

/// Opens a connection of its own and subscribes; done once the server has confirmed it.
pub(crate) async fn subscribe(dialer: &Dialer, channel: &[u8]) -> Result<Feed> {
    #[cfg(feature = "wire")]
    if let Some(wire) = &dialer.redis.wire {
        let feed = in_time(dialer, wire.subscribe(channel)).await?;
        return Ok(Feed::Wire(feed));
    }
    let subscribing = async {
        let stream = socket::dial(&dialer.redis.address, &dialer.server).await?;
        let failed = |error| fault::from_client(&dialer.server, &error);
        let connection = PubSub::new(&login(&dialer.redis.address), stream).await;
        let (mut sink, stream) = connection.map_err(failed)?.split();
        sink.subscribe(channel).await.map_err(failed)?;
        Ok((sink, stream))
    };
    let (sink, stream) = in_time(dialer, subscribing).await?;
    let (give, messages) = mpsc::channel(BUFFERED);
    let pump = tokio::spawn(pump(sink, stream, give, dialer.silence()));
    Ok(Feed::Socket(Pumped {
        messages,
        pump: pump.abort_handle(),
    }))
}

impl Feed {
    /// The next message; `None` once the feed has ended. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        match self {
            Feed::Socket(pumped) => pumped.messages.recv().await,
            #[cfg(feature = "wire")]
            Feed::Wire(feed) => feed.next().await,
        }
    }
}

impl Drop for Pumped {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Takes from the connection as fast as it gives, because what it has received and nobody took
/// is held without a bound.
async fn pump(
    sink: PubSubSink,
    mut stream: PubSubStream,
    give: mpsc::Sender<Bytes>,
    silence: Duration,
) {
    let silent = silent(sink, silence);
    tokio::pin!(silent);
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            () = &mut silent => return,
        };
        let Some(message) = message else {
            return;
        };
        let bytes = Bytes::copy_from_slice(message.get_payload_bytes());
        if give.try_send(bytes).is_err() {
            return;
        }
    }
}

/// Done once the server owes an answer for so long. A peer that vanished without a word would
/// otherwise be taken for one that has nothing to say.
async fn silent(mut sink: PubSubSink, limit: Duration) {
    loop {
        tokio::time::sleep(limit).await;
        // An error is an answer too, or the end of the connection, which ends the stream.
        let asked = tokio::time::timeout(limit, sink.ping::<redis::Value>());
        if asked.await.is_err() {
            return;
        }
    }
}
