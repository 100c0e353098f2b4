//! What waits to be sent over one link: bounded, never waited for.
//!
//! Messages are put here by any thread and written by the link's task, many at once. What the mesh
//! itself has to say (heartbeat, echo, members) is a mark and not a message, so that it takes no
//! room, cannot pile up, and goes before whatever waits.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use larder_core::Mono;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::Limits;
use crate::event::DownReason;
use crate::frame::{self, HEAD_BYTES};
use crate::message::{Message, PAYLOAD};

/// Messages that are written together, in bytes: more does not make a write cheaper.
const BATCH_BYTES: usize = 64 * 1024;

/// From this size on a message is written from where it lies instead of being copied.
const OWN_WRITE_BYTES: usize = 16 * 1024;

/// The queue of a link and its marks.
pub(crate) struct Outgoing {
    state: Mutex<Marks>,
    /// Something is to be written.
    pub(crate) wake: Notify,
    /// The link is to end at once.
    pub(crate) cut: Notify,
}

struct Marks {
    queue: Queue,
    beat: Option<u64>,
    echo: Option<u64>,
    is_telling: bool,
    is_leaving: bool,
    cut: Option<DownReason>,
    /// Since when the present write makes no progress.
    stuck_since: Option<Mono>,
}

/// Messages within bounds.
struct Queue {
    messages: VecDeque<Bytes>,
    bytes: usize,
    limits: Limits,
}

impl Queue {
    /// False if there is no room.
    fn push(&mut self, message: Bytes) -> bool {
        let bytes = self.bytes + message.len() + HEAD_BYTES;
        if bytes > self.limits.queue_bytes || self.messages.len() >= self.limits.queue_messages {
            return false;
        }
        self.bytes = bytes;
        self.messages.push_back(message);
        true
    }

    fn pop(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len() + HEAD_BYTES;
        Some(message)
    }
}

/// What to write next.
#[derive(Default)]
pub(crate) struct Batch {
    /// To be written behind the batch, its head being the batch's last bytes.
    pub(crate) behind: Option<Bytes>,
    /// The members are to be told, before the batch.
    pub(crate) is_telling: bool,
    /// There is nothing more to write, ever.
    pub(crate) is_last: bool,
}

impl Outgoing {
    pub(crate) fn new(limits: Limits) -> Outgoing {
        let queue = Queue {
            messages: VecDeque::new(),
            bytes: 0,
            limits,
        };
        Outgoing {
            state: Mutex::new(Marks {
                queue,
                beat: None,
                echo: None,
                is_telling: true,
                is_leaving: false,
                cut: None,
                stuck_since: None,
            }),
            wake: Notify::new(),
            cut: Notify::new(),
        }
    }

    /// Queues a message. Without room for it the link is cut: the other does not read. False then,
    /// and if the link is already ending.
    pub(crate) fn push(&self, message: Bytes) -> bool {
        let has_room = {
            let mut state = self.state.lock();
            if state.is_leaving || state.cut.is_some() {
                return false;
            }
            state.queue.push(message)
        };
        if has_room {
            self.wake.notify_one();
        } else {
            self.cut(DownReason::NotReading);
        }
        has_room
    }

    pub(crate) fn beat(&self, stamp: u64) {
        self.state.lock().beat = Some(stamp);
        self.wake.notify_one();
    }

    /// A newer heartbeat takes the place of one that was not answered yet.
    pub(crate) fn echo(&self, stamp: u64) {
        self.state.lock().echo = Some(stamp);
        self.wake.notify_one();
    }

    pub(crate) fn tell(&self) {
        self.state.lock().is_telling = true;
        self.wake.notify_one();
    }

    /// Everything that waits is still written, then the goodbye.
    pub(crate) fn leave(&self) {
        self.state.lock().is_leaving = true;
        self.wake.notify_one();
    }

    /// The link ends at once; the first reason counts.
    pub(crate) fn cut(&self, reason: DownReason) {
        self.state.lock().cut.get_or_insert(reason);
        self.cut.notify_one();
    }

    pub(crate) fn cut_reason(&self) -> Option<DownReason> {
        self.state.lock().cut
    }

    /// Moves what is to be written next behind `buffer`; none if there is nothing.
    pub(crate) fn batch(&self, buffer: &mut BytesMut) -> Option<Batch> {
        let mut state = self.state.lock();
        let mut batch = Batch {
            is_telling: std::mem::take(&mut state.is_telling),
            ..Batch::default()
        };
        let before = buffer.len();
        if let Some(stamp) = state.echo.take() {
            Message::Echo(stamp).put(buffer);
        }
        if let Some(stamp) = state.beat.take() {
            Message::Heartbeat(stamp).put(buffer);
        }
        while buffer.len() < BATCH_BYTES {
            let Some(message) = state.queue.pop() else {
                break;
            };
            buffer.put_slice(&frame::head(PAYLOAD, message.len()));
            if message.len() >= OWN_WRITE_BYTES {
                batch.behind = Some(message);
                break;
            }
            buffer.put_slice(&message);
        }
        if state.is_leaving && state.queue.messages.is_empty() && batch.behind.is_none() {
            Message::Goodbye.put(buffer);
            batch.is_last = true;
        }
        (buffer.len() > before || batch.is_telling).then_some(batch)
    }

    /// Whether a write is under way, and when it last made progress.
    pub(crate) fn writing(&self, since: Option<Mono>) {
        self.state.lock().stuck_since = since;
    }

    pub(crate) fn stuck_since(&self) -> Option<Mono> {
        self.state.lock().stuck_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(queue_bytes: usize, queue_messages: usize) -> Outgoing {
        let outgoing = Outgoing::new(Limits {
            queue_bytes,
            queue_messages,
            ..Limits::default()
        });
        outgoing.batch(&mut BytesMut::new());
        outgoing
    }

    #[test]
    fn a_queue_that_overflows_in_bytes_or_messages_cuts_its_link() {
        for (bytes, messages) in [(30, 100), (1_000, 2)] {
            let outgoing = of(bytes, messages);
            let ten = Bytes::from_static(b"0123456789");
            assert!(outgoing.push(ten.clone()) && outgoing.push(ten.clone()));
            assert_eq!(outgoing.cut_reason(), None);
            assert!(!outgoing.push(ten.clone()));
            assert_eq!(outgoing.cut_reason(), Some(DownReason::NotReading));
            assert!(!outgoing.push(ten), "nothing is queued after a cut");
        }
    }

    #[test]
    fn many_messages_are_one_batch_with_heartbeats_before_them() {
        let outgoing = of(1 << 20, 100);
        outgoing.push(Bytes::from_static(b"a"));
        outgoing.push(Bytes::from_static(b"b"));
        outgoing.beat(1);
        outgoing.beat(2);
        let mut buffer = BytesMut::new();
        let batch = outgoing.batch(&mut buffer).unwrap();
        assert!(batch.behind.is_none() && !batch.is_last);
        let beat = Message::Heartbeat(2).frame();
        assert_eq!(
            buffer,
            [&beat[..], b"\0\0\0\x02\x20a\0\0\0\x02\x20b"].concat()
        );
        assert!(outgoing.batch(&mut buffer).is_none());
    }

    #[test]
    fn a_large_message_ends_its_batch_and_is_not_copied() {
        let outgoing = of(1 << 20, 100);
        outgoing.push(Bytes::from(vec![7; OWN_WRITE_BYTES]));
        outgoing.push(Bytes::from_static(b"b"));
        outgoing.leave();
        let mut buffer = BytesMut::new();
        let first = outgoing.batch(&mut buffer).unwrap();
        assert_eq!((buffer.len(), first.is_last), (HEAD_BYTES, false));
        assert_eq!(first.behind.unwrap().len(), OWN_WRITE_BYTES);
        buffer.clear();
        let last = outgoing.batch(&mut buffer).unwrap();
        assert!(last.is_last);
        assert_eq!(&buffer[..], b"\0\0\0\x02\x20b\0\0\0\x01\x13");
    }
}
