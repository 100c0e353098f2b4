//! Greetings over a socket: what `handshake` decides, carried.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::socket::Socket;
use crate::frame::Wrong;
use crate::handshake::{Acceptor, Binding, Challenged, Dialler};
use crate::hub::{Hub, Link};
use crate::message::{MAX_GREETING_BYTES, Message, Phase, Refusal, take};
use crate::name::NodeName;
use crate::pairs::Number;

/// How a greeting came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection broke.
    Io(io::Error),
    /// The other closed it.
    Closed,
    /// The other does not speak as a node does.
    Wrong(Wrong),
    /// The other does not want us; it is called so, if that is true.
    Theirs(Refusal, Option<NodeName>),
    /// We do not want the other, which is called so, if that is true.
    Ours(Refusal, Option<NodeName>),
    /// It took too long.
    Late,
}

/// A greeting that became a link, and what was read beyond it.
pub(super) struct Greeted {
    pub(super) link: Arc<Link>,
    pub(super) rest: BytesMut,
}

/// Greets as the one who dialled.
pub(super) async fn dialler(
    hub: &Arc<Hub>,
    socket: &mut Socket,
    binding: Binding,
    ip: IpAddr,
) -> Result<Greeted, Failed> {
    let mut rest = BytesMut::new();
    let (dialler, hello) = Dialler::begin(&hub.me, hub.nonce(), binding);
    send(socket, &hello).await?;
    let challenge = receive(socket, &mut rest).await?;
    let challenged = match challenge {
        Message::Refused(refusal) => return Err(Failed::Theirs(refusal, None)),
        challenge @ Message::Challenge(_) => dialler.challenged(&hub.me, challenge),
        other => return Err(not_now(&other)),
    };
    let challenged = match challenged {
        Ok(challenged) => challenged,
        Err(refusal) => return refuse(socket, refusal, None).await,
    };
    let name = challenged.other().name.clone();
    match prove(hub, socket, &mut rest, challenged, ip).await {
        Ok(link) => Ok(Greeted { link, rest }),
        Err(Failed::Ours(refusal, _)) => refuse(socket, refusal, Some(name)).await,
        Err(failed) => Err(failed),
    }
}

async fn prove(
    hub: &Arc<Hub>,
    socket: &mut Socket,
    rest: &mut BytesMut,
    challenged: Challenged,
    ip: IpAddr,
) -> Result<Arc<Link>, Failed> {
    let ours = |refusal| Failed::Ours(refusal, None);
    let attempt = Attempt {
        number: hub.prove(challenged.other()).map_err(ours)?,
        name: challenged.other().name.clone(),
        hub,
    };
    send(socket, &challenged.proof(&hub.me)).await?;
    match receive(socket, rest).await? {
        Message::Welcome(signature) => {
            let other = challenged.welcomed(&hub.me, &signature).map_err(ours)?;
            hub.welcomed(&other, attempt.number, ip).map_err(ours)
        }
        Message::Refused(refusal) => Err(Failed::Theirs(
            refusal,
            Some(challenged.other().name.clone()),
        )),
        other => Err(not_now(&other)),
    }
}

/// Greets as the one who was dialled.
pub(super) async fn acceptor(
    hub: &Arc<Hub>,
    socket: &mut Socket,
    binding: Binding,
    ip: IpAddr,
) -> Result<Greeted, Failed> {
    let mut rest = BytesMut::new();
    let hello = receive(socket, &mut rest).await?;
    if !matches!(hello, Message::Hello(..)) {
        return Err(not_now(&hello));
    }
    let challenged = hub.core.lock().pairs.challenge();
    let acceptor = match Acceptor::begin(&hub.me, hello, hub.nonce(), binding) {
        Ok((acceptor, challenge)) => {
            send(socket, &challenge).await?;
            acceptor
        }
        Err(refusal) => return refuse(socket, refusal, None).await,
    };
    let name = acceptor.other().name.clone();
    let proven = match receive(socket, &mut rest).await? {
        Message::Proof(signature) => acceptor.proven(&hub.me, &signature),
        Message::Refused(refusal) => return Err(Failed::Theirs(refusal, Some(name))),
        other => return Err(not_now(&other)),
    };
    let agreed = proven.and_then(|(other, welcome)| {
        let link = hub.accept(&other, challenged, ip)?;
        Ok((link, welcome))
    });
    match agreed {
        Ok((link, welcome)) => {
            let mut first = BytesMut::new();
            welcome.put(&mut first);
            // The link is open from here on: if this fails, it ends as links do.
            let _ = socket.write_all(&first).await;
            let _ = socket.flush().await;
            Ok(Greeted { link, rest })
        }
        Err(refusal) => refuse(socket, refusal, Some(name)).await,
    }
}

fn not_now(message: &Message) -> Failed {
    Failed::Wrong(Wrong::NotNow(message.kind()))
}

/// Tells the other why, as far as it still listens.
async fn refuse<T>(
    socket: &mut Socket,
    refusal: Refusal,
    name: Option<NodeName>,
) -> Result<T, Failed> {
    let _ = send(socket, &Message::Refused(refusal)).await;
    let _ = socket.shutdown().await;
    Err(Failed::Ours(refusal, name))
}

pub(super) async fn send(socket: &mut Socket, message: &Message) -> Result<(), Failed> {
    socket
        .write_all(&message.frame())
        .await
        .map_err(Failed::Io)?;
    socket.flush().await.map_err(Failed::Io)
}

async fn receive(socket: &mut Socket, arrived: &mut BytesMut) -> Result<Message, Failed> {
    loop {
        if let Some(message) = take(arrived, Phase::Greeting).map_err(Failed::Wrong)? {
            return Ok(message);
        }
        // A frame of the greeting is never longer, so this is never more than two of them.
        arrived.reserve(MAX_GREETING_BYTES);
        if socket.read_buf(arrived).await.map_err(Failed::Io)? == 0 {
            return Err(Failed::Closed);
        }
    }
}

/// Our dial while it may become a link; dropping it makes room for another.
struct Attempt<'a> {
    number: Number,
    name: NodeName,
    hub: &'a Hub,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        // If it has become a link, there is no attempt of this number any more.
        self.hub.core.lock().pairs.failed(&self.name, self.number);
    }
}
