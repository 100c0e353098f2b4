//! Opening one connection: socket, TLS, login, and the first look at the server's clock.

mod feed;
mod socket;
mod tls;

use std::future::Future;

use larder_core::error::{Error, Result};
use larder_core::runtime::{BoxFuture, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};

use crate::config::Address;
use crate::line::Dialer;
use crate::{fault, reply};

pub(crate) use feed::{Feed, subscribe};

/// An open connection and the future that moves its bytes; it ends when the connection does.
pub(crate) struct Opened {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) driver: BoxFuture<'static, ()>,
}

/// Opens a connection within the connect timeout, takes a sample of the server's clock, and joins
/// the log of the shard.
pub(crate) async fn open(dialer: &Dialer) -> Result<Opened> {
    in_time(dialer, async {
        let mut opened = log_in(dialer).await?;
        tokio::select! {
            greeted = greet(&mut opened.connection, dialer) => greeted?,
            () = &mut opened.driver => return Err(closed(&dialer.server)),
        }
        Ok(opened)
    })
    .await
}

/// Opens a connection within the connect timeout, and asks nothing.
pub(crate) async fn open_silently(dialer: &Dialer) -> Result<Opened> {
    in_time(dialer, log_in(dialer)).await
}

async fn log_in(dialer: &Dialer) -> Result<Opened> {
    let stream = socket::dial(&dialer.redis.address, &dialer.server).await?;
    // Timeouts and limits are kept by `line` and `link`, which say more about them.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_pipeline_buffer_size(dialer.redis.limits.max_in_flight);
    let login = login(&dialer.redis.address);
    let opened = MultiplexedConnection::new_with_config(&login, stream, config).await;
    let (connection, driver) =
        opened.map_err(|error| fault::from_client(&dialer.server, &error))?;
    Ok(Opened {
        connection,
        driver: Box::pin(driver),
    })
}

/// LIMIT: the connect timeout; a server that takes the connection and says nothing ends here.
async fn in_time<T>(dialer: &Dialer, opening: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = dialer.redis.limits.connect_timeout;
    match tokio::time::timeout(limit, opening).await {
        Ok(opened) => opened,
        Err(_) => {
            let why = format!("no connection within {} ms", limit.as_millis());
            Err(fault::unavailable(&dialer.server, why))
        }
    }
}

fn login(address: &Address) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default()
        .set_db(i64::from(address.database))
        .set_lib_name("larder", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &address.user {
        login = login.set_username(user);
    }
    if let Some(password) = &address.password {
        login = login.set_password(password.expose());
    }
    login
}

/// Names the connection for `CLIENT LIST` (old servers may refuse) and reads the clock, which
/// also shows whether this user may do anything at all.
async fn greet(connection: &mut MultiplexedConnection, dialer: &Dialer) -> Result<()> {
    let mut greeting = redis::pipe();
    greeting.cmd("CLIENT").arg("SETNAME").arg("larder");
    greeting.cmd("TIME");
    if let Some(join) = &dialer.join {
        greeting.add_command(join.on_connect());
    }
    let sent = dialer.clock.sending();
    let answers = connection
        .send_packed_commands(&greeting, 0, greeting.len())
        .await;
    let answers = answers.map_err(|error| fault::from_client(&dialer.server, &error))?;
    let time = answers.into_iter().nth(1).unwrap_or_default();
    let time = reply::time_ms(fault::checked(&dialer.server, time)?)?;
    dialer.clock.record(sent, Timestamp(time));
    Ok(())
}

fn closed(server: &str) -> Error {
    fault::unavailable(server, "the connection was closed during the login")
}
