//! Opening one connection: socket, TLS, login, and the first look at the server's clock.

mod tls;

use std::time::Duration;

use larder_core::error::{Error, Result};
use larder_core::runtime::{BoxFuture, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::clock::Clock;
use crate::config::{Address, Endpoint, Tls};
use crate::{fault, reply};

/// An open connection and the future that moves its bytes; it ends when the connection does.
pub(crate) struct Opened {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) driver: BoxFuture<'static, ()>,
}

/// Opens a connection within `limit` and takes a sample of the server's clock.
pub(crate) async fn open(
    address: &Address,
    server: &str,
    clock: &Clock,
    limit: Duration,
    in_flight: usize,
) -> Result<Opened> {
    let opening = async {
        match &address.endpoint {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| fault::unavailable(server, error))?;
                log_in(address, server, clock, in_flight, stream).await
            }
            Endpoint::Tcp { host, port } => {
                let stream = tcp(host, *port).await;
                let stream = stream.map_err(|error| fault::unavailable(server, error))?;
                if address.tls == Tls::Off {
                    return log_in(address, server, clock, in_flight, stream).await;
                }
                let stream = tls::wrap(&address.tls, server, host, stream).await?;
                log_in(address, server, clock, in_flight, stream).await
            }
        }
    };
    // LIMIT: the caller's; a server that takes the connection and says nothing ends here.
    match tokio::time::timeout(limit, opening).await {
        Ok(opened) => opened,
        Err(_) => {
            let ms = limit.as_millis();
            let why = format!("no connection within {ms} ms");
            Err(fault::unavailable(server, why))
        }
    }
}

async fn tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Commands are small and wait for answers: Nagle's algorithm would hold them back.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn log_in<S>(
    address: &Address,
    server: &str,
    clock: &Clock,
    in_flight: usize,
    stream: S,
) -> Result<Opened>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut login = RedisConnectionInfo::default()
        .set_db(i64::from(address.database))
        .set_lib_name("larder", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &address.user {
        login = login.set_username(user);
    }
    if let Some(password) = &address.password {
        login = login.set_password(password.expose());
    }
    // Timeouts and limits are kept by `line` and `link`, which say more about them.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_pipeline_buffer_size(in_flight);
    let failed = |error| fault::from_client(server, &error);
    let (mut connection, driver) = MultiplexedConnection::new_with_config(&login, stream, config)
        .await
        .map_err(failed)?;
    let mut driver: BoxFuture<'static, ()> = Box::pin(driver);
    tokio::select! {
        greeted = greet(&mut connection, server, clock) => greeted?,
        () = &mut driver => return Err(closed(server)),
    }
    Ok(Opened { connection, driver })
}

/// Names the connection for `CLIENT LIST` (old servers may refuse) and reads the clock, which
/// also shows whether this user may do anything at all.
async fn greet(connection: &mut MultiplexedConnection, server: &str, clock: &Clock) -> Result<()> {
    let mut greeting = redis::pipe();
    greeting.cmd("CLIENT").arg("SETNAME").arg("larder");
    greeting.cmd("TIME");
    let sent = clock.sending();
    let answers = connection.send_packed_commands(&greeting, 0, 2).await;
    let answers = answers.map_err(|error| fault::from_client(server, &error))?;
    let time = answers.into_iter().nth(1).unwrap_or_default();
    let time = reply::time_ms(fault::checked(server, time)?)?;
    clock.record(sent, Timestamp(time));
    Ok(())
}

fn closed(server: &str) -> Error {
    fault::unavailable(server, "the connection was closed during the login")
}
