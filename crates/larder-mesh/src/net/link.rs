//! One link, from its opening to its end: what is read, and what is told of it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, ReadHalf, split};
use tokio::sync::mpsc::Permit;
use tokio::sync::mpsc::error::TrySendError;

use super::greet::Greeted;
use super::socket::Socket;
use super::write;
use crate::event::{DownReason, Event, Stop, Waiting};
use crate::hub::{Hub, Link};
use crate::message::{Message, Phase, take};

/// What is read at once, in bytes. A long message makes the buffer grow as it arrives.
const READ_BYTES: usize = 64 * 1024;

/// Runs a link that was agreed on to its end.
pub(super) async fn run(hub: Arc<Hub>, greeted: Greeted, socket: Socket) {
    let Greeted { link, rest } = greeted;
    if !is_next(&hub, &link).await {
        hub.closed(&link, DownReason::Replaced);
        return hub.over(&link);
    }
    let (from, to) = split(socket);
    let reason = {
        let mut stop = hub.stop.subscribe();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop == Stop::Done) => DownReason::Leaving,
            () = link.out.cut.notified() => link.out.cut_reason().unwrap_or(DownReason::Broken),
            reason = in_turn(read(&hub, &link, from, rest), write::run(&hub, &link, to)) => reason,
        }
    };
    let reason = match reason {
        DownReason::Broken if hub.is_leaving() => DownReason::Leaving,
        reason => reason,
    };
    let was_up = link.is_up.swap(false, Ordering::AcqRel);
    hub.closed(&link, reason);
    if was_up {
        let peer = link.peer;
        tell(&hub, Event::Down { peer, reason }).await;
    }
    hub.over(&link);
}

/// The first of two results. Each comes first every other time: one that always has something to do
/// must not use up what both may do at once.
async fn in_turn<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let mut is_first = false;
    poll_fn(|context| {
        is_first = !is_first;
        if is_first && let Poll::Ready(result) = one.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        if let Poll::Ready(result) = other.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        if is_first {
            Poll::Pending
        } else {
            one.as_mut().poll(context)
        }
    })
    .await
}

/// Waits until everything was told of the link before this one; false if a newer link has taken
/// this one's place meanwhile, or nothing is told any more.
async fn is_next(hub: &Hub, link: &Link) -> bool {
    if let Some(before) = link.before() {
        let mut is_over = before.is_over.subscribe();
        let mut stop = hub.stop.subscribe();
        tokio::select! {
            biased;
            _ = is_over.wait_for(|is_over| *is_over) => {}
            () = link.out.cut.notified() => return false,
            _ = stop.wait_for(|stop| *stop == Stop::Done) => return false,
        }
    }
    link.begin()
}

/// Tells of an event, however long it takes; unless nobody will ever listen.
async fn tell(hub: &Hub, event: Event) {
    let mut stop = hub.stop.subscribe();
    let waiting = Waiting { event, space: None };
    tokio::select! {
        biased;
        _ = hub.events.send(waiting) => {}
        _ = stop.wait_for(|stop| *stop == Stop::Done) => {}
    }
}

async fn read(
    hub: &Hub,
    link: &Link,
    mut from: ReadHalf<Socket>,
    mut arrived: BytesMut,
) -> DownReason {
    up(hub, link).await;
    let phase = Phase::Open {
        version: link.version,
        most: hub.limits.message_bytes,
    };
    loop {
        loop {
            match take(&mut arrived, phase) {
                Ok(Some(Message::Goodbye)) => return DownReason::Left,
                Ok(Some(message)) => take_in(hub, link, message).await,
                Ok(None) => break,
                Err(wrong) => {
                    tracing::warn!(node = %link.name, %wrong, "a node of the mesh sent nonsense");
                    return DownReason::Unreadable;
                }
            }
        }
        if arrived.capacity() - arrived.len() < READ_BYTES / 4 {
            arrived.reserve(READ_BYTES.max(arrived.len()));
        }
        match from.read_buf(&mut arrived).await {
            Ok(0) | Err(_) => return DownReason::Broken,
            Ok(_) => link.heard.store(hub.now().0, Ordering::Relaxed),
        }
    }
}

/// Tells that the link is up. Messages can be sent before anybody has heard of it.
async fn up(hub: &Hub, link: &Link) {
    let event = Event::Up {
        peer: link.peer,
        name: Arc::clone(&link.name),
        incarnation: link.incarnation,
        version: link.version,
    };
    if let Ok(permit) = hub.events.reserve().await {
        link.is_up.store(true, Ordering::Release);
        permit.send(Waiting { event, space: None });
    } else {
        link.is_up.store(true, Ordering::Release);
    }
    resume(hub, link);
    hub.change();
}

async fn take_in(hub: &Hub, link: &Link, message: Message) {
    match message {
        Message::Payload(bytes) => deliver(hub, link, bytes).await,
        Message::Heartbeat(stamp) => link.out.echo(stamp),
        Message::Echo(stamp) => {
            let now = hub.runtime.precise();
            // A stamp that we never sent would be a time yet to come, or long ago.
            let round_trip = now.since(larder_core::Mono(stamp));
            if now.0 >= stamp && round_trip <= hub.timing.gone_after {
                hub.core.lock().members.measured(&link.name, round_trip);
            }
        }
        Message::Members(members) => hub.told(&members),
        // The goodbye is taken by the caller; greetings are not read on open links.
        _ => {}
    }
}

/// Hands a message on; while there is no room nothing more is read from this link.
async fn deliver(hub: &Hub, link: &Link, bytes: Bytes) {
    let most = hub.limits.inbox_bytes.max(1);
    let share = u32::try_from(bytes.len().clamp(1, most)).unwrap_or(u32::MAX);
    let inbox = Arc::clone(&hub.inbox);
    let event = Event::Message {
        peer: link.peer,
        bytes,
    };
    let send = |permit: Permit<'_, Waiting>, space| {
        permit.send(Waiting {
            event,
            space: Some(space),
        });
    };
    let space = match Arc::clone(&inbox).try_acquire_many_owned(share) {
        Ok(space) => space,
        Err(_) => {
            link.is_held.store(true, Ordering::Relaxed);
            let Ok(space) = inbox.acquire_many_owned(share).await else {
                return;
            };
            space
        }
    };
    match hub.events.try_reserve() {
        Ok(permit) => send(permit, space),
        // Nobody wants to hear anything: messages go nowhere.
        Err(TrySendError::Closed(())) => {}
        Err(TrySendError::Full(())) => {
            link.is_held.store(true, Ordering::Relaxed);
            if let Ok(permit) = hub.events.reserve().await {
                send(permit, space);
            }
        }
    }
    resume(hub, link);
}

/// The link is read again after it was held.
fn resume(hub: &Hub, link: &Link) {
    if link.is_held.load(Ordering::Relaxed) {
        link.heard.store(hub.now().0, Ordering::Relaxed);
        link.is_held.store(false, Ordering::Relaxed);
    }
}
