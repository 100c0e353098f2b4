//! Opening one connection: socket, TLS, login, and the first look at the server's clock.

mod feed;
mod socket;
mod tls;

use std::future::Future;

use larder_core::error::{Error, Result};
use larder_core::mutant::Mutant;
use larder_core::runtime::{BoxFuture, Mono, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, Value};

use crate::carrier::{Carrier, Ended};
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
pub(crate) async fn open(dialer: &Dialer) -> Result<(Carrier, Ended)> {
    #[cfg(feature = "wire")]
    if let Some(wire) = &dialer.redis.wire {
        return in_time(dialer, open_wire(dialer, &**wire)).await;
    }
    in_time(dialer, async {
        let Opened {
            mut connection,
            mut driver,
        } = log_in(dialer).await?;
        tokio::select! {
            greeted = greet(&mut connection, dialer) => greeted?,
            () = &mut driver => return Err(closed(&dialer.server)),
        }
        Ok(Carrier::socket(connection, driver))
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

#[cfg(feature = "wire")]
async fn open_wire(dialer: &Dialer, wire: &dyn crate::wire::Wire) -> Result<(Carrier, Ended)> {
    let connection = wire.connect().await?;
    let ended = connection.closed();
    let carrier = Carrier::Wire(connection);
    let (greeting, sent) = (greeting(dialer), dialer.clock.sending());
    let request = crate::carrier::Request::Many(&greeting);
    let answers = carrier.ask(request, &dialer.server).await?;
    greeted(dialer, sent, reply::array(answers)?)?;
    Ok((carrier, ended))
}

/// LIMIT: the connect timeout; a server that takes the connection and says nothing ends here.
async fn in_time<T>(dialer: &Dialer, opening: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = dialer.redis.limits.connect_timeout;
    match dialer.pace.within(limit, opening).await {
        Some(opened) => opened,
        None => {
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

async fn greet(connection: &mut MultiplexedConnection, dialer: &Dialer) -> Result<()> {
    let (greeting, sent) = (greeting(dialer), dialer.clock.sending());
    let answers = connection
        .send_packed_commands(&greeting, 0, greeting.len())
        .await;
    let answers = answers.map_err(|error| fault::from_client(&dialer.server, &error))?;
    greeted(dialer, sent, answers)
}

/// Names the connection for `CLIENT LIST` (old servers may refuse) and reads the clock, which
/// also shows whether this user may do anything at all.
fn greeting(dialer: &Dialer) -> Pipeline {
    let mut greeting = redis::pipe();
    greeting.cmd("CLIENT").arg("SETNAME").arg("larder");
    greeting.cmd("TIME");
    if let Some(join) = &dialer.join
        && !Mutant::JoinLate.is_active()
    {
        greeting.add_command(join.on_connect());
    }
    greeting
}

fn greeted(dialer: &Dialer, sent: Mono, answers: Vec<Value>) -> Result<()> {
    let time = answers.into_iter().nth(1).unwrap_or_default();
    let time = reply::time_ms(fault::checked(&dialer.server, time)?)?;
    dialer.clock.record(sent, Timestamp(time));
    Ok(())
}

fn closed(server: &str) -> Error {
    fault::unavailable(server, "the connection was closed during the login")
}
