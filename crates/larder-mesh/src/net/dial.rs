//! One dial: from an address to a link, or to a reason why there is none.

use std::sync::Arc;

use super::greet::{self, Failed, Greeted};
use super::link;
use super::socket::{Raw, Socket, connect};
use super::tls;
use crate::address::Address;
use crate::dials::Ended;
use crate::handshake::Binding;
use crate::hub::Hub;
use crate::message::Refusal;

/// Dials and, if a link comes of it, runs it to its end.
pub(crate) async fn run(hub: Arc<Hub>, address: Address) {
    let mut stop = hub.stop.subscribe();
    let dialled = tokio::select! {
        biased;
        dialled = dial(&hub, &address) => dialled,
        () = hub.runtime.sleep(hub.timing.greeting) => Err(Failed::Late),
        _ = stop.wait_for(|stop| *stop != crate::event::Stop::No) => return,
    };
    match dialled {
        Ok((socket, greeted)) => {
            let name = &greeted.link.name;
            hub.dialled(&address, Ended::Linked, Some(name));
            hub.book.is_well(&address.to_string());
            link::run(hub, greeted, socket).await;
        }
        Err(failed) => {
            let ended = match &failed {
                Failed::Ours(Refusal::Itself, _) | Failed::Theirs(Refusal::Itself, _) => {
                    Ended::Itself
                }
                // The link to that node came to be in another way, or is about to.
                Failed::Ours(Refusal::Duplicate, _) | Failed::Theirs(Refusal::Duplicate, _) => {
                    Ended::Linked
                }
                Failed::Ours(..) | Failed::Theirs(..) => Ended::Refused,
                _ => Ended::Failed,
            };
            let found = match &failed {
                Failed::Ours(_, name) | Failed::Theirs(_, name) => name.clone(),
                _ => None,
            };
            hub.dialled(&address, ended, found.as_ref());
            say(&hub, &address, &failed);
        }
    }
}

async fn dial(hub: &Arc<Hub>, address: &Address) -> Result<(Socket, Greeted), Failed> {
    let (raw, ip) = connect(hub, address).await.map_err(Failed::Io)?;
    let (mut socket, binding) = match (raw, &hub.sessions) {
        (Raw::Tcp(stream), Some(sessions)) => {
            let stream = sessions.connect(address.host(), stream).await;
            let stream = stream.map_err(Failed::Io)?;
            let binding = tls::binding(&stream).map_err(Failed::Io)?;
            (Socket::Tls(Box::new(stream)), binding)
        }
        (Raw::Tcp(stream), None) => (Socket::Plain(stream), Binding::Plain),
        #[cfg(feature = "wire")]
        (Raw::Wire(stream), _) => (Socket::Wire(stream), Binding::Plain),
    };
    let greeted = greet::dialler(hub, &mut socket, binding, ip).await?;
    Ok((socket, greeted))
}

/// Says why there is no link, once for each reason. That nobody is there is not worth a warning:
/// nodes start one after the other.
fn say(hub: &Hub, address: &Address, failed: &Failed) {
    let text = match failed {
        Failed::Ours(Refusal::Duplicate | Refusal::Itself, _)
        | Failed::Theirs(Refusal::Duplicate | Refusal::Itself | Refusal::Leaving, _) => return,
        Failed::Ours(refusal, _) | Failed::Theirs(refusal, _) => {
            hub.book.refused(refusal.as_str());
            refusal.to_string()
        }
        Failed::Wrong(wrong) => format!("it does not speak as a node: {wrong}"),
        Failed::Late => "no answer in time".to_owned(),
        Failed::Closed => "it closed the connection".to_owned(),
        Failed::Io(error) => error.to_string(),
    };
    if !hub.book.is_news(&address.to_string(), &text, hub.now()) {
        return;
    }
    let is_quiet = matches!(failed, Failed::Io(_) | Failed::Closed | Failed::Late);
    if is_quiet {
        tracing::info!(%address, reason = %text, "no link to a node of the mesh; trying again");
    } else {
        tracing::warn!(%address, reason = %text, "no link to a node of the mesh; trying again");
    }
}
