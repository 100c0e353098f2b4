//! The stream of bytes to a server: TCP, TLS, or a Unix socket.

use larder_core::error::Result;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::tls;
use crate::config::{Address, Endpoint, Tls};
use crate::fault;

/// Any of them.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// Connects, and speaks TLS where it is asked for.
pub(super) async fn dial(address: &Address, server: &str) -> Result<Box<dyn Socket>> {
    match &address.endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            let stream = stream.map_err(|error| fault::unavailable(server, error))?;
            Ok(Box::new(stream))
        }
        Endpoint::Tcp { host, port } => {
            let stream = tcp(host, *port).await;
            let stream = stream.map_err(|error| fault::unavailable(server, error))?;
            if address.tls == Tls::Off {
                return Ok(Box::new(stream));
            }
            Ok(Box::new(
                tls::wrap(&address.tls, server, host, stream).await?,
            ))
        }
    }
}

async fn tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Commands are small and wait for answers: Nagle's algorithm would hold them back.
    stream.set_nodelay(true)?;
    Ok(stream)
}
