//! The listener: takes connections, within bounds, and greets whoever comes.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::greet::{self, Failed, Greeted};
use super::link;
use super::socket::{Listener, Raw, Socket};
use super::tls;
use crate::handshake::Binding;
use crate::hub::Hub;
use crate::message::{Message, Refusal};
use parking_lot::Mutex;
use tokio::net::TcpStream;

/// How long to wait when the system has no more descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// The first byte of every TLS session. Ours begin with the length of a short frame.
const TLS_BEGINS: u8 = 0x16;

/// Greetings under way by IP address, so that one host cannot take all places.
type Crowd = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// Takes connections until this node leaves.
pub(crate) async fn listen(hub: Arc<Hub>, mut listener: Listener) {
    let crowd = Crowd::default();
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_transient(&error) => continue,
            Err(_) => {
                hub.runtime.sleep(OUT_OF_DESCRIPTORS).await;
                continue;
            }
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Ok(place) = Arc::clone(&hub.greetings).try_acquire_owned() else {
            hub.book.refused("crowded");
            continue;
        };
        // Half of all places, so that others are heard while one host takes as many as it can.
        let most = hub.limits.greetings.div_ceil(2);
        let Some(guest) = Guest::enter(&crowd, from.ip(), most) else {
            hub.book.refused("crowded");
            continue;
        };
        let task = Arc::clone(&hub);
        hub.spawn(async move {
            let greeted = greeted(&task, stream, from).await;
            drop((place, guest));
            if let Some((socket, greeted)) = greeted {
                link::run(task, greeted, socket).await;
            }
        });
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

async fn greeted(hub: &Arc<Hub>, stream: Raw, from: SocketAddr) -> Option<(Socket, Greeted)> {
    let mut stop = hub.stop.subscribe();
    let result = tokio::select! {
        biased;
        result = greet(hub, stream, from) => result,
        () = hub.runtime.sleep(hub.timing.greeting) => Err(Failed::Late),
        _ = stop.wait_for(|stop| *stop != crate::event::Stop::No) => return None,
    };
    match result {
        Ok(greeted) => {
            hub.book.is_well(&from.ip().to_string());
            Some(greeted)
        }
        Err(failed) => {
            say(hub, from.ip(), &failed);
            None
        }
    }
}

async fn greet(hub: &Arc<Hub>, stream: Raw, from: SocketAddr) -> Result<(Socket, Greeted), Failed> {
    let (mut socket, binding) = match stream {
        Raw::Tcp(stream) => protect(hub, stream).await?,
        #[cfg(feature = "wire")]
        Raw::Wire(stream) => (Socket::Wire(stream), Binding::Plain),
    };
    let greeted = greet::acceptor(hub, &mut socket, binding, from.ip()).await?;
    Ok((socket, greeted))
}

/// Begins TLS, if this node has it; whoever wants something else is told so.
async fn protect(hub: &Hub, stream: TcpStream) -> Result<(Socket, Binding), Failed> {
    stream.set_nodelay(true).map_err(Failed::Io)?;
    let mut first = [0];
    if stream.peek(&mut first).await.map_err(Failed::Io)? == 0 {
        return Err(Failed::Closed);
    }
    let is_tls = first[0] == TLS_BEGINS;
    match &hub.sessions {
        Some(sessions) if is_tls => {
            let stream = sessions.accept(stream).await.map_err(Failed::Io)?;
            let binding = tls::binding(&stream).map_err(Failed::Io)?;
            Ok((Socket::Tls(Box::new(stream)), binding))
        }
        None if !is_tls => Ok((Socket::Plain(stream), Binding::Plain)),
        _ => {
            let mut socket = Socket::Plain(stream);
            let _ = greet::send(&mut socket, &Message::Refused(Refusal::Tls)).await;
            Err(Failed::Ours(Refusal::Tls, None))
        }
    }
}

/// Says why somebody was refused, once; what two honest nodes do to each other is not said.
fn say(hub: &Hub, from: IpAddr, failed: &Failed) {
    let (reason, text) = match failed {
        Failed::Ours(refusal, name) => {
            let who = name
                .as_ref()
                .map_or(String::new(), |name| format!(", {name}"));
            (refusal.as_str(), format!("{refusal}{who}"))
        }
        Failed::Wrong(wrong) => (
            "unreadable",
            format!("it does not speak as a node: {wrong}"),
        ),
        Failed::Late => ("late", "its greeting took too long".to_owned()),
        Failed::Io(error) if error.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => {
            ("tls", format!("TLS: {error}"))
        }
        // The other has said why to its own log, or is a probe of a port.
        Failed::Theirs(refusal, _) => return hub.book.refused(refusal.as_str()),
        Failed::Io(_) | Failed::Closed => return hub.book.refused("closed"),
    };
    hub.book.refused(reason);
    let is_usual = matches!(
        failed,
        Failed::Ours(Refusal::Duplicate | Refusal::Itself | Refusal::Leaving, _)
    );
    if !is_usual && hub.book.is_news(&from.to_string(), reason, hub.now()) {
        tracing::warn!(%from, reason = %text, "refused a connection to the mesh");
    }
}

/// Somebody who is being greeted.
struct Guest(Crowd, IpAddr);

impl Guest {
    fn enter(crowd: &Crowd, from: IpAddr, most: usize) -> Option<Guest> {
        let mut guests = crowd.lock();
        let count = guests.entry(from).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Guest(Arc::clone(crowd), from))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.0.lock();
        if let Some(count) = guests.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                guests.remove(&self.1);
            }
        }
    }
}
