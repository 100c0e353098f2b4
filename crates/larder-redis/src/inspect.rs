//! Questions about the server itself, for diagnosis: any command, any answer, on a connection of
//! their own. Nothing of the stores goes through here.

mod rights;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use larder_core::error::Result;
use larder_core::runtime::Runtime;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::task::AbortHandle;

use crate::clock::Clock;
use crate::config::{Endpoint, Redis, Tls};
use crate::keys::Keys;
use crate::line::Dialer;
use crate::{connect, fault};

pub use rights::{Denied, Purpose};

/// What an address says, without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressParts {
    /// Host and port; `None` for a Unix socket.
    pub tcp: Option<(String, u16)>,
    /// The path of the Unix socket.
    pub socket: Option<PathBuf>,
    /// TLS is spoken.
    pub is_encrypted: bool,
    /// Any certificate will do.
    pub trusts_anybody: bool,
    /// The user, if one is named.
    pub user: Option<String>,
    /// Whether there is a password.
    pub has_password: bool,
}

/// An answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Nothing is there.
    Nothing,
    /// A whole number.
    Number(i64),
    /// Text or bytes.
    Text(Bytes),
    /// Several of them.
    List(Vec<Answer>),
    /// The server's error, which begins with its code, such as `NOPERM`.
    Refused(String),
}

/// A connection for questions; closed when dropped.
pub struct Inspector {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    dialer: Arc<Dialer>,
    keys: Keys,
    runtime: Arc<dyn Runtime>,
}

impl Redis {
    /// What the address says.
    pub fn address_parts(&self) -> AddressParts {
        let address = &self.address;
        let (tcp, socket) = match &address.endpoint {
            Endpoint::Tcp { host, port } => (Some((host.clone(), *port)), None),
            Endpoint::Unix(path) => (None, Some(path.clone())),
        };
        AddressParts {
            tcp,
            socket,
            is_encrypted: address.tls != Tls::Off,
            trusts_anybody: address.tls == Tls::AcceptAny,
            user: address.user.clone(),
            has_password: address.password.is_some(),
        }
    }

    /// Opens a connection, logs in, and asks nothing yet: who may do nothing at all gets here too.
    /// Within the connect timeout.
    ///
    /// # Errors
    ///
    /// As for the first command of a store.
    pub async fn inspect(&self, runtime: Arc<dyn Runtime>) -> Result<Inspector> {
        let dialer = Arc::new(Dialer {
            redis: self.clone(),
            server: self.to_string(),
            clock: Arc::new(Clock::new(Arc::clone(&runtime))),
            join: None,
            pace: self.pace(&runtime),
        });
        let opened = connect::open_silently(&dialer).await?;
        Ok(Inspector {
            connection: opened.connection,
            driver: tokio::spawn(opened.driver).abort_handle(),
            keys: Keys::new(self.key_prefix.clone()),
            dialer,
            runtime,
        })
    }
}

impl Inspector {
    /// Asks one command. An error answer is an [`Answer`]. Within the response timeout.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn ask<B: AsRef<[u8]>>(&self, words: &[B]) -> Result<Answer> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word.as_ref());
        }
        let server = &self.dialer.server;
        let limit = self.dialer.redis.limits.response_timeout;
        let mut connection = self.connection.clone();
        let asking = connection.send_packed_command(&command);
        match tokio::time::timeout(limit, asking).await {
            Ok(Ok(value)) => Ok(answer(value)),
            Ok(Err(error)) => Err(fault::from_client(server, &error)),
            Err(_) => {
                let ms = limit.as_millis();
                Err(fault::timeout(server, format!("no answer within {ms} ms")))
            }
        }
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn answer(value: Value) -> Answer {
    match value {
        Value::Nil => Answer::Nothing,
        Value::Int(number) => Answer::Number(number),
        Value::BulkString(bytes) => Answer::Text(bytes.into()),
        Value::SimpleString(text) => Answer::Text(text.into()),
        Value::Okay => Answer::Text(Bytes::from_static(b"OK")),
        Value::Array(items) => Answer::List(items.into_iter().map(answer).collect()),
        Value::ServerError(error) => Answer::Refused(match error.details() {
            Some(details) => format!("{} {details}", error.code()),
            None => error.code().to_owned(),
        }),
        // What only the newer protocol has, which is not asked for.
        other => Answer::Text(format!("{other:?}").into()),
    }
}
