//! One direction of a connection, and the ends of both.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use larder_core::runtime::Mono;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{AGAIN, Connection, Net};
use crate::sim::Fault;

/// Bytes from one node to another.
pub(super) struct Pipe {
    net: Net,
    nodes: (usize, usize),
    room: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: VecDeque<(Mono, Part)>,
    /// Bytes that have not arrived.
    on_the_way: usize,
    arrived: BytesMut,
    /// Nothing comes behind what has arrived.
    is_over: bool,
    /// The reader learns that the connection has broken.
    is_broken: bool,
    /// The writer does.
    is_refused: bool,
    /// Nobody reads any more.
    is_left: bool,
    /// Nothing arrives any more, and nobody says so.
    is_lost: bool,
    /// Somebody sees to what is under way.
    is_carried: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum Part {
    Data(Bytes),
    End,
}

impl Pipe {
    pub(super) fn new(net: Net, nodes: (usize, usize), room: usize) -> Pipe {
        Pipe {
            net,
            nodes,
            room,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock();
        state.expect("no task panics while it holds a pipe")
    }

    /// Changes what is there, then wakes who reads.
    fn tell_reader<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        result
    }

    /// Changes what is there, then wakes who writes.
    fn tell_writer(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// What is under way is lost, and so is all that follows it.
    pub(super) fn lose_all(&self) {
        let mut state = self.state();
        state.is_lost = true;
        state.on_the_way = 0;
        let lost = std::mem::take(&mut state.under_way);
        drop(state);
        drop(lost);
    }

    /// The writer learns that nobody is there.
    pub(super) fn refuse(&self) {
        self.tell_writer(|state| state.is_refused = true);
    }

    /// The reader learns that nothing comes any more.
    pub(super) fn break_off(&self) {
        self.tell_reader(|state| state.is_broken = true);
    }

    /// Nobody reads any more.
    fn leave(&self) {
        self.tell_writer(|state| {
            state.is_left = true;
            state.arrived.clear();
        });
    }

    /// Sends something on its way, behind everything that is on it.
    fn send(self: &Arc<Self>, connection: &Connection, part: Part) {
        let (now, delay) = (self.net.now(), self.net.delay());
        let mut state = self.state();
        if state.is_lost {
            return;
        }
        let behind = state.under_way.back().map_or(now, |(at, _)| *at);
        let at = now.after(delay).max(behind);
        if let Part::Data(bytes) = &part {
            state.on_the_way += bytes.len();
        }
        state.under_way.push_back((at, part));
        let is_carried = std::mem::replace(&mut state.is_carried, true);
        drop(state);
        if !is_carried {
            self.carry_at(connection.clone(), at.since(now));
        }
    }

    fn carry_at(self: &Arc<Self>, connection: Connection, after: Duration) {
        let pipe = self.clone();
        let carry = Box::pin(async move { pipe.carry(&connection) });
        self.net.0.runtime.spawn_after(after, carry);
    }

    /// Delivers what is due, unless the way is cut.
    fn carry(self: &Arc<Self>, connection: &Connection) {
        let (from, to) = self.nodes;
        if self.net.is_cut(from, to) {
            return self.carry_at(connection.clone(), AGAIN);
        }
        let now = self.net.now();
        let mut is_refused = false;
        let next = self.tell_reader(|state| {
            while let Some((at, _)) = state.under_way.front()
                && *at <= now
                && let Some((_, part)) = state.under_way.pop_front()
            {
                is_refused |= state.is_left;
                state.deliver(part);
            }
            let next = state.under_way.front().map(|(at, _)| at.since(now));
            state.is_carried = next.is_some();
            next
        });
        if let Some(after) = next {
            self.carry_at(connection.clone(), after);
        }
        if is_refused {
            self.answer_for_nobody(connection);
        }
    }

    /// A kernel says that it knows nothing of this connection, if it can.
    fn answer_for_nobody(&self, connection: &Connection) {
        let (from, to) = self.nodes;
        let is_up = self.net.state().is_up[to];
        if is_up && !self.net.is_cut(to, from) {
            let at = usize::from(connection.nodes[0] != from);
            self.net.reset(connection, at);
        }
    }
}

impl State {
    fn deliver(&mut self, part: Part) {
        match part {
            Part::Data(bytes) => {
                self.on_the_way -= bytes.len();
                if !self.is_left {
                    self.arrived.extend_from_slice(&bytes);
                }
            }
            Part::End => self.is_over = true,
        }
    }
}

/// One end of a connection.
pub(super) struct End {
    connection: Connection,
    /// Which: 0 dialled.
    at: usize,
}

impl End {
    pub(super) fn new(connection: Connection, at: usize) -> End {
        End { connection, at }
    }

    fn out(&self) -> &Arc<Pipe> {
        &self.connection.pipes[self.at]
    }

    fn incoming(&self) -> &Pipe {
        &self.connection.pipes[1 - self.at]
    }

    /// A connection may break whenever something is written.
    fn may_break(&self) -> bool {
        let net = &self.out().net;
        let chance = net.faults().broken;
        let breaks = chance > 0 && net.draw(|random| random.per_mille(chance));
        if breaks {
            net.0.journal.fault(Fault::BrokenLink);
            net.break_off(&self.connection);
        }
        breaks
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.incoming().state();
        if !state.arrived.is_empty() {
            let count = buffer.remaining().min(state.arrived.len());
            buffer.put_slice(&state.arrived[..count]);
            state.arrived.advance(count);
            drop(state);
            self.incoming().tell_writer(|_| {});
            return Poll::Ready(Ok(()));
        }
        if state.is_broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.is_over {
            return Poll::Ready(Ok(()));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let out = self.out();
        let mut state = out.state();
        if state.is_refused {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = state.on_the_way + state.arrived.len();
        if taken >= out.room {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = bytes.len().min(out.room - taken);
        drop(state);
        let (from, to) = out.nodes;
        out.net.note(|| {
            let said = larder_mesh::wire::said(&bytes[..count]);
            format!("node {from} to node {to}: {said}")
        });
        if !self.may_break() {
            out.send(
                &self.connection,
                Part::Data(Bytes::copy_from_slice(&bytes[..count])),
            );
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out().send(&self.connection, Part::End);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Its kernel says that it is gone, unless it is gone too.
        self.out().send(&self.connection, Part::End);
        self.incoming().leave();
        self.out().net.forget(&self.connection);
    }
}
