//! One connection: bytes in, commands run in order, bytes out.
//!
//! Everything that was received is run before anything is awaited, and all replies to it leave
//! in one write. A peer that does not read its replies is soon no longer read from, and later
//! disconnected; one that does not finish what it began to send likewise. A connection that
//! rests holds no buffers.

mod alarm;
mod end;
mod farewell;
mod patience;

use std::io;

use bytes::{Buf, BytesMut};
use larder_resp::RequestDecoder;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;

use crate::command;
use crate::metrics::ConnectionGuard;
use crate::session::Session;
use alarm::Alarm;
use end::End;
use patience::{Patience, Waiting};

/// Replies are sent at the latest when there are this many bytes of them.
const CHUNK: usize = 64 * 1024;

/// A buffer that has grown beyond this is not kept.
const KEEP: usize = 64 * 1024;

/// A connection and all that belongs to it alone.
pub(crate) struct Connection {
    stream: TcpStream,
    session: Session,
    decoder: RequestDecoder,
    input: BytesMut,
    output: BytesMut,
    patience: Patience,
    alarm: Alarm,
    /// How much of it was in use since it was last replaced.
    largest_input: usize,
    /// Commands wait in `input` until the peer has read some replies.
    congested: bool,
    /// The peer sends no more.
    ended: bool,
    /// The node stops: what has begun to arrive is still run, nothing after it.
    stopping: bool,
    _counted: ConnectionGuard,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, session: Session) -> Connection {
        let node = &session.shared.node;
        let runtime = node.cache.runtime().clone();
        Connection {
            stream,
            decoder: RequestDecoder::new(session.limits()),
            input: BytesMut::new(),
            output: BytesMut::new(),
            patience: Patience::new(&node.settings.resp, runtime.now()),
            alarm: Alarm::new(runtime),
            largest_input: 0,
            congested: false,
            ended: false,
            stopping: false,
            _counted: node.metrics.connection(),
            session,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn serve(mut self) {
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        tracing::debug!(peer = %self.session.client.peer, %end, "connection closed");
        let http = self.session.shared.node.settings.http_addr;
        if let Some(words) = farewell::last_words(&end, http) {
            self.output.extend_from_slice(&words);
            let limit = self.alarm.after(farewell::LONGEST);
            farewell::part(&mut self.stream, &self.output, limit).await;
        }
    }

    /// Runs what is there, sends what came of it, and waits for more.
    async fn turn(&mut self) -> Result<(), End> {
        let was_unread = !self.output.is_empty();
        self.run_received().await?;
        self.send()?;
        if self.output.is_empty() {
            let is_last = self.stopping && self.input.is_empty();
            if is_last || self.ended || self.session.is_closing() {
                return Err(End::Done);
            }
        } else if !was_unread {
            self.patience.progressed(self.alarm.now());
        }
        self.release_large_buffers();
        self.wait().await
    }

    async fn run_received(&mut self) -> Result<(), End> {
        let mut has_run = false;
        self.congested = false;
        while !self.session.is_closing() {
            if self.output.len() >= CHUNK {
                self.send()?;
                if self.patience.is_congested(self.output.len()) {
                    self.congested = true;
                    break;
                }
            }
            let Some(request) = self.decoder.decode(&mut self.input)? else {
                break;
            };
            let was_authenticated = self.session.is_authenticated();
            command::execute(&mut self.session, &request, &mut self.output).await;
            if was_authenticated != self.session.is_authenticated() {
                self.decoder.set_limits(self.session.limits());
            }
            has_run = true;
        }
        if self.patience.is_exhausted(self.output.len()) {
            return Err(End::OutputLimit);
        }
        let now = self.alarm.now();
        if has_run {
            self.session.client.set_active(now);
        }
        let is_partial = !self.congested && !self.input.is_empty();
        self.patience.ran(now, has_run, is_partial);
        Ok(())
    }

    /// Sends as much as the peer takes without waiting.
    fn send(&mut self) -> Result<(), End> {
        while !self.output.is_empty() {
            match self.stream.try_write(&self.output) {
                Ok(sent) => {
                    self.session.shared.node.metrics.bytes_out(sent as u64);
                    if sent == self.output.len() {
                        self.output.clear();
                    } else {
                        self.output.advance(sent);
                        self.patience.progressed(self.alarm.now());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn release_large_buffers(&mut self) {
        if self.largest_input > KEEP && self.input.len() <= KEEP {
            self.largest_input = self.input.len();
            self.input = BytesMut::from(&self.input[..]);
        }
        if self.output.is_empty() && self.output.capacity() > KEEP {
            self.output = BytesMut::new();
        }
    }

    /// Waits until something can be done.
    async fn wait(&mut self) -> Result<(), End> {
        loop {
            let state = Waiting {
                authenticated: self.session.is_authenticated(),
                unread: !self.output.is_empty(),
                buffered: self.input.len(),
                holds_memory: self.input.capacity() + self.output.capacity() > 0,
            };
            self.alarm.set(self.patience.deadline(&state));
            let reads = !self.congested && !self.ended && !self.session.is_closing();
            let ready = readiness(
                &mut self.stream,
                &self.decoder,
                &mut self.input,
                (reads, state.unread),
            );
            tokio::select! {
                biased;
                received = ready => {
                    if let Some(bytes) = received? {
                        self.received(bytes);
                    }
                    return Ok(());
                }
                () = self.session.client.wake.notified() => {
                    if self.session.client.is_killed() {
                        return Err(End::Killed);
                    }
                    if self.session.shared.is_stopping() {
                        self.finish();
                        return Ok(());
                    }
                }
                () = self.alarm.rings() => {
                    self.patience.check(self.alarm.now(), &state)?;
                    if self.input.is_empty() && !state.unread {
                        self.input = BytesMut::new();
                        self.output = BytesMut::new();
                    }
                }
            }
        }
    }

    fn received(&mut self, bytes: usize) {
        self.ended |= bytes == 0;
        self.largest_input = self.largest_input.max(self.input.len());
        self.patience.received(self.alarm.now());
        self.session.shared.node.metrics.bytes_in(bytes as u64);
    }

    /// Takes what has already arrived: the node is stopping.
    fn finish(&mut self) {
        self.stopping = true;
        self.decoder.prepare_read(&mut self.input);
        if let Ok(bytes) = self.stream.try_read_buf(&mut self.input) {
            self.received(bytes);
        }
    }
}

/// Receives something, or finds that the peer takes more; gives how much was received.
async fn readiness(
    stream: &mut TcpStream,
    decoder: &RequestDecoder,
    input: &mut BytesMut,
    (reads, writes): (bool, bool),
) -> io::Result<Option<usize>> {
    if writes {
        let interest = if reads {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::WRITABLE
        };
        if !stream.ready(interest).await?.is_readable() || !reads {
            return Ok(None);
        }
        decoder.prepare_read(input);
        return match stream.try_read_buf(input) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        };
    }
    if input.capacity() == 0 {
        // No memory for a peer that says nothing.
        stream.readable().await?;
    }
    decoder.prepare_read(input);
    stream.read_buf(input).await.map(Some)
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.session.shared.clients.remove(self.session.client.id);
    }
}
