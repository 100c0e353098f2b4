//! A connection, with TLS or without, and where connections come from.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio_rustls::TlsStream;

use crate::address::Address;
use crate::config::Config;
use crate::hub::Hub;
#[cfg(feature = "wire")]
use crate::wire;

/// LIMIT: IP addresses of one host that are tried in one dial.
const MAX_TRIED: usize = 4;

/// What greetings and links read from and write to.
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(feature = "wire")]
    Wire(Box<dyn wire::Stream>),
}

/// A connection on which nothing was said yet.
pub(super) enum Raw {
    Tcp(TcpStream),
    #[cfg(feature = "wire")]
    Wire(Box<dyn wire::Stream>),
}

/// Where others knock.
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(feature = "wire")]
    Wire(Box<dyn wire::Door>),
}

impl Listener {
    /// Listens, and says where.
    pub(crate) async fn bind(config: &Config) -> io::Result<(Listener, SocketAddr)> {
        #[cfg(feature = "wire")]
        if let Some(network) = &config.network {
            let door = network.listen(config.listen)?;
            return Ok((Listener::Wire(door), config.listen));
        }
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        Ok((Listener::Tcp(listener), address))
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Raw, SocketAddr)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                Ok((Raw::Tcp(stream), from))
            }
            #[cfg(feature = "wire")]
            Listener::Wire(door) => {
                let (stream, from) = door.accept().await?;
                Ok((Raw::Wire(stream), from))
            }
        }
    }
}

/// Opens a connection to an address, and says which of its IP addresses it was.
pub(super) async fn connect(hub: &Hub, address: &Address) -> io::Result<(Raw, IpAddr)> {
    #[cfg(feature = "wire")]
    if let Some(network) = &hub.network {
        let ip = address.ip().ok_or(io::ErrorKind::NotFound)?;
        let stream = network.connect(SocketAddr::new(ip, address.port())).await?;
        return Ok((Raw::Wire(stream), ip));
    }
    let _ = hub;
    let stream = connect_tcp(address).await?;
    stream.set_nodelay(true)?;
    let ip = stream.peer_addr()?.ip().to_canonical();
    Ok((Raw::Tcp(stream), ip))
}

async fn connect_tcp(address: &Address) -> io::Result<TcpStream> {
    if let Some(ip) = address.ip() {
        return TcpStream::connect(SocketAddr::new(ip, address.port())).await;
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let found = lookup_host((address.host(), address.port())).await?;
    for socket in found.take(MAX_TRIED) {
        match TcpStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(feature = "wire")]
            Socket::Wire(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(feature = "wire")]
            Socket::Wire(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(context),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "wire")]
            Socket::Wire(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(feature = "wire")]
            Socket::Wire(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
