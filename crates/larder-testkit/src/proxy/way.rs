//! One direction of a connection: what comes in waits in a queue until its time has come.

use std::future::pending;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::connection::Traits;
use super::counts::Counters;
use super::faults::{Ending, Faults, Rules};
use crate::sim::Random;

/// LIMIT: bytes that are read at once.
pub(super) const PIECE: usize = 16 * 1024;

/// LIMIT: pieces on their way, 1 MiB in all. With more the sender is made to wait, as by a full
/// window of TCP.
pub(super) const WAITING: usize = 64;

/// Something on its way.
pub(super) struct Event {
    arrived: Instant,
    what: What,
}

enum What {
    Bytes(Bytes),
    /// The sender has closed its side, or reset it.
    End(Ending),
}

/// One direction.
pub(super) struct Way<'a> {
    /// 0 for requests, 1 for replies.
    at: usize,
    rules: watch::Receiver<Rules>,
    traits: &'a Traits,
    counters: &'a Counters,
    jitter: Random,
    last: Option<Piece>,
    /// The order of the limit in force, and what has passed since.
    limit: (u64, u64),
    /// Nothing is delivered any more.
    is_dead: bool,
}

/// A piece that was written.
struct Piece {
    when: Instant,
    bytes: usize,
    /// How long the next one was to wait by the rules of then.
    pause: Duration,
}

/// Waits until the rules have changed. Those of a proxy that is gone never do.
pub(super) async fn next(rules: &mut watch::Receiver<Rules>) {
    if rules.changed().await.is_err() {
        pending().await
    }
}

impl<'a> Way<'a> {
    pub(super) fn new(
        at: usize,
        rules: watch::Receiver<Rules>,
        traits: &'a Traits,
        counters: &'a Counters,
    ) -> Way<'a> {
        Way {
            at,
            rules,
            traits,
            counters,
            jitter: Random::new(at as u64),
            last: None,
            limit: (0, 0),
            is_dead: false,
        }
    }

    /// Reads what one side sends. Never done: the other half says when it is over.
    pub(super) async fn take(self, mut from: ReadHalf<'_>, queue: mpsc::Sender<Event>) {
        let mut buffer = vec![0; PIECE];
        let mut tail = Vec::new();
        loop {
            let what = match from.read(&mut buffer).await {
                Ok(0) => What::End(Ending::Close),
                Ok(bytes) => {
                    self.look(&buffer[..bytes], &mut tail);
                    What::Bytes(Bytes::copy_from_slice(&buffer[..bytes]))
                }
                Err(_) => What::End(Ending::Reset),
            };
            let is_last = matches!(what, What::End(_));
            let arrived = Instant::now();
            if queue.send(Event { arrived, what }).await.is_err() || is_last {
                return pending().await;
            }
        }
    }

    /// Looks for the mark in what a client sends, which may come in pieces.
    fn look(&self, bytes: &[u8], tail: &mut Vec<u8>) {
        let Some(mark) = self.rules.borrow().mark.clone().filter(|_| self.at == 0) else {
            return;
        };
        tail.extend_from_slice(bytes);
        let is_there = tail.windows(mark.len()).any(|window| window == &*mark);
        if is_there && !self.traits.is_marked.swap(true, Ordering::Relaxed) {
            self.counters.marked();
        }
        let kept = tail.len().min(mark.len().saturating_sub(1));
        tail.drain(..tail.len() - kept);
    }

    /// Delivers to the other side, as far as the faults let it. `Ok` once the sender's farewell
    /// has been.
    pub(super) async fn give(
        mut self,
        mut to: WriteHalf<'_>,
        mut queue: mpsc::Receiver<Event>,
    ) -> Result<(), Ending> {
        while let Some(event) = queue.recv().await {
            let drawn = self.jitter.draw();
            match event.what {
                What::Bytes(bytes) => self.bytes(&to, bytes, event.arrived, drawn).await?,
                What::End(ending) => {
                    if self.turn(event.arrived, drawn).await.is_none() {
                        self.counters.unsaid(self.at);
                        continue;
                    }
                    if ending == Ending::Reset {
                        return Err(Ending::Reset);
                    }
                    // An error: the other side is gone, and its own way tells.
                    let _ = to.shutdown().await;
                    return Ok(());
                }
            }
        }
        pending().await
    }

    async fn bytes(
        &mut self,
        to: &WriteHalf<'_>,
        mut bytes: Bytes,
        arrived: Instant,
        drawn: u64,
    ) -> Result<(), Ending> {
        while !bytes.is_empty() {
            let Some(faults) = self.turn(arrived, drawn).await else {
                self.counters.swallowed(self.at, bytes.len());
                return Ok(());
            };
            let left = self.left(&faults);
            if left == 0 {
                return Err(Ending::Close);
            }
            let piece = faults.piece(bytes.len()).min(left);
            tokio::select! {
                biased;
                // Not written by rules that are no longer in force.
                () = next(&mut self.rules) => continue,
                _ = to.writable() => {}
            }
            match to.try_write(&bytes[..piece]) {
                Ok(written) => {
                    bytes.advance(written);
                    self.counters.passed(self.at, written);
                    self.limit.1 += written as u64;
                    self.last = Some(Piece {
                        when: Instant::now(),
                        bytes: written,
                        pause: faults.pause(written),
                    });
                    if self.left(&faults) == 0 {
                        return Err(Ending::Close);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // The other side is gone, and its own way tells.
                Err(_) => self.is_dead = true,
            }
        }
        Ok(())
    }

    /// Waits until what arrived at that time may pass; `None` if it never may.
    async fn turn(&mut self, arrived: Instant, drawn: u64) -> Option<Faults> {
        loop {
            let faults = self.traits.faults(&self.rules.borrow_and_update(), self.at);
            if faults.swallows {
                self.is_dead = true;
                self.traits.has_lost.store(true, Ordering::Relaxed);
            }
            if self.is_dead {
                return None;
            }
            if faults.stalls {
                next(&mut self.rules).await;
                continue;
            }
            let due = arrived + faults.delay(drawn);
            // Other rules may shorten a pause that has begun, not make it longer.
            let pause = |last: &Piece| last.pause.min(faults.pause(last.bytes));
            let free = self.last.as_ref().map(|last| last.when + pause(last));
            let due = free.map_or(due, |free| free.max(due));
            if due <= Instant::now() {
                return Some(faults);
            }
            let _ = timeout_at(due, next(&mut self.rules)).await;
        }
    }

    /// How many bytes may still pass before the connection is cut.
    fn left(&mut self, faults: &Faults) -> usize {
        let Some((most, order)) = faults.limit else {
            return usize::MAX;
        };
        if self.limit.0 != order {
            self.limit = (order, 0);
        }
        usize::try_from(most.saturating_sub(self.limit.1)).unwrap_or(usize::MAX)
    }
}
