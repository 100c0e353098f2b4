//! What carries the requests of an open connection and brings the answers.

use larder_core::error::Result;
use larder_core::runtime::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};
use tokio::task::AbortHandle;

use crate::fault;
#[cfg(feature = "wire")]
use crate::wire;

/// What is asked: one command, or several in one go.
#[derive(Clone, Copy)]
pub(crate) enum Request<'a> {
    /// One answer.
    One(&'a Cmd),
    /// An array of all answers, error answers among them.
    Many(&'a Pipeline),
}

/// A socket, or what stands for it.
pub(crate) enum Carrier {
    /// The client library with a task that moves its bytes.
    Socket {
        connection: MultiplexedConnection,
        driver: AbortHandle,
    },
    #[cfg(feature = "wire")]
    Wire(Box<dyn wire::Connection>),
}

/// Done when the connection has ended.
pub(crate) type Ended = BoxFuture<'static, ()>;

impl Carrier {
    /// Takes an open socket; `driver` moves its bytes and ends when the connection does.
    pub(crate) fn socket(
        connection: MultiplexedConnection,
        driver: BoxFuture<'static, ()>,
    ) -> (Carrier, Ended) {
        let task = tokio::spawn(driver);
        let driver = task.abort_handle();
        let carrier = Carrier::Socket { connection, driver };
        let ended = async {
            let _ = task.await;
        };
        (carrier, Box::pin(ended))
    }

    /// Sends `request` and waits for its answer. An error answer of the server is a value.
    pub(crate) async fn ask(&self, request: Request<'_>, server: &str) -> Result<Value> {
        match self {
            Carrier::Socket { connection, .. } => {
                let mut connection = connection.clone();
                let answer = match request {
                    Request::One(command) => connection.send_packed_command(command).await,
                    Request::Many(pipeline) => connection
                        .send_packed_commands(pipeline, 0, pipeline.len())
                        .await
                        .map(Value::Array),
                };
                answer.map_err(|error| fault::from_client(server, &error))
            }
            #[cfg(feature = "wire")]
            Carrier::Wire(connection) => ask_wire(&**connection, request, server).await,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Carrier::Socket { driver, .. } => driver.is_finished(),
            #[cfg(feature = "wire")]
            Carrier::Wire(connection) => connection.is_closed(),
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Carrier::Socket { driver, .. } => driver.abort(),
            #[cfg(feature = "wire")]
            Carrier::Wire(connection) => connection.close(),
        }
    }
}

/// The bytes that the client library would have sent, and its reading of the answers.
#[cfg(feature = "wire")]
async fn ask_wire(
    connection: &dyn wire::Connection,
    request: Request<'_>,
    server: &str,
) -> Result<Value> {
    let (requests, answers) = match request {
        Request::One(command) => (command.get_packed_command(), None),
        Request::Many(pipeline) => (pipeline.get_packed_pipeline(), Some(pipeline.len())),
    };
    let bytes = connection.ask(requests).await?;
    let (mut rest, mut parser) = (&bytes[..], redis::Parser::new());
    let mut next = || {
        let value = parser.parse_value(&mut rest);
        value.map_err(|error| fault::from_client(server, &error))
    };
    match answers {
        None => next(),
        Some(answers) => (0..answers)
            .map(|_| next())
            .collect::<Result<_>>()
            .map(Value::Array),
    }
}
