//! The writing half of a link: whatever waits, many messages in one write.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt, WriteHalf};

use super::socket::Socket;
use crate::event::DownReason;
use crate::hub::{Hub, Link};
use crate::message::Message;

/// A buffer that grew beyond this for once is given back, in bytes.
const KEPT_BYTES: usize = 256 * 1024;

/// Writes until the link ends; the goodbye is the last that is written.
pub(super) async fn run(hub: &Hub, link: &Link, mut to: WriteHalf<Socket>) -> DownReason {
    let mut buffer = BytesMut::new();
    loop {
        let Some(batch) = link.out.batch(&mut buffer) else {
            link.out.wake.notified().await;
            continue;
        };
        if batch.is_telling {
            let mut told = BytesMut::new();
            Message::Members(hub.linked()).put(&mut told);
            if write(hub, link, &mut to, &told).await.is_err() {
                return DownReason::Broken;
            }
        }
        let mut written = write(hub, link, &mut to, &buffer).await;
        if let (Ok(()), Some(behind)) = (&written, &batch.behind) {
            written = write(hub, link, &mut to, behind).await;
        }
        let flushed = match written {
            Ok(()) => to.flush().await,
            failed => failed,
        };
        link.out.writing(None);
        if flushed.is_err() {
            return DownReason::Broken;
        }
        if batch.is_last {
            let _ = to.shutdown().await;
            // The other closes once it has read that. To close before would throw away what it has
            // sent meanwhile, and TCP then throws away our last words too.
            return std::future::pending().await;
        }
        buffer.clear();
        if buffer.capacity() > KEPT_BYTES {
            buffer = BytesMut::new();
        }
    }
}

/// Writes all of it, and notes each progress: who makes none for too long is cut off.
async fn write(
    hub: &Hub,
    link: &Link,
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
) -> io::Result<()> {
    while !bytes.is_empty() {
        link.out.writing(Some(hub.now()));
        let count = to.write(bytes).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[count..];
    }
    Ok(())
}
