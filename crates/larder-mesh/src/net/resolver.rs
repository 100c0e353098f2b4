//! Asks name servers: over UDP, and over TCP what does not fit there.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use larder_core::Runtime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::dns::{self, Answer, Bad, Found, Kind};

const CONF: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// LIMIT: servers that are asked, one after the other: as many as the system's resolver asks.
const MAX_SERVERS: usize = 3;
/// For one server and one question.
const PATIENCE: Duration = Duration::from_secs(2);
/// LIMIT: datagrams that are no answer, before a server is given up: somebody is guessing.
const MAX_STRAYS: usize = 64;
/// The longest datagram that a server sends whom nobody has asked for more.
const DATAGRAM_BYTES: usize = 4_096;

/// Whom to ask.
pub(crate) struct Resolver {
    runtime: Arc<dyn Runtime>,
    servers: Vec<SocketAddr>,
}

impl Resolver {
    /// Asks these servers, or those of the system if there are none.
    pub(crate) fn new(runtime: Arc<dyn Runtime>, servers: &[SocketAddr]) -> Resolver {
        let servers = match servers {
            [] => system_servers(&std::fs::read_to_string(CONF).unwrap_or_default()),
            servers => servers.to_vec(),
        };
        Resolver { runtime, servers }
    }

    /// The records of this kind that the name has now. The servers are asked one after the other
    /// until one answers; the reason is that of the last.
    pub(crate) async fn ask(&self, name: &str, kind: Kind) -> Result<Vec<Found>, String> {
        let mut last = "there is no name server to ask".to_owned();
        for server in self.servers.iter().take(MAX_SERVERS) {
            let asked = tokio::select! {
                asked = self.ask_one(*server, name, kind) => asked,
                () = self.runtime.sleep(PATIENCE) => Err(io::ErrorKind::TimedOut.into()),
            };
            match asked {
                Ok(found) => return Ok(found),
                Err(error) => last = format!("{server}: {error}"),
            }
        }
        Err(last)
    }

    async fn ask_one(&self, server: SocketAddr, name: &str, kind: Kind) -> io::Result<Vec<Found>> {
        let mut id = [0; 2];
        // Whoever guesses answers has to guess this and the port that the system chose.
        aws_lc_rs::rand::fill(&mut id).map_err(|_| io::Error::other("no randomness"))?;
        let question = dns::question(u16::from_be_bytes(id), name, kind)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is no name"))?;
        match over_udp(server, &question).await? {
            Answer::Found(found) => Ok(found),
            Answer::Truncated => match over_tcp(server, &question).await? {
                Answer::Found(found) => Ok(found),
                Answer::Truncated => Err(damaged(Bad::Damaged)),
            },
        }
    }
}

async fn over_udp(server: SocketAddr, question: &[u8]) -> io::Result<Answer> {
    let any: SocketAddr = match server.ip() {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Datagrams of others are not received.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut bytes = vec![0; DATAGRAM_BYTES];
    for _ in 0..MAX_STRAYS {
        let count = socket.recv(&mut bytes).await?;
        match dns::answer(question, &bytes[..count]) {
            Ok(answer) => return Ok(answer),
            Err(Bad::NotMine) => {}
            Err(bad) => return Err(damaged(bad)),
        }
    }
    Err(damaged(Bad::NotMine))
}

async fn over_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(question);
    stream.write_all(&bytes).await?;
    // At most 64 KiB, by the two bytes of the length.
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    dns::answer(question, &answer).map_err(damaged)
}

fn damaged(bad: Bad) -> io::Error {
    let text = match bad {
        Bad::NotMine => "it answers something else".to_owned(),
        Bad::Damaged => "its answer cannot be read".to_owned(),
        Bad::Server(2) => "it failed (SERVFAIL)".to_owned(),
        Bad::Server(5) => "it refuses to answer (REFUSED)".to_owned(),
        Bad::Server(code) => format!("it failed with code {code}"),
    };
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The servers that the system's resolver asks.
fn system_servers(conf: &str) -> Vec<SocketAddr> {
    let servers = conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let ip: Option<IpAddr> = words.next().filter(|_| is_server)?.parse().ok();
        ip.map(|ip| SocketAddr::new(ip, PORT))
    });
    servers.take(MAX_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_the_system_are_read() {
        let conf = "# nameserver 9.9.9.9\nsearch x\nnameserver 10.0.0.10\n nameserver ::1\n";
        let servers = system_servers(conf);
        assert_eq!(
            servers,
            ["10.0.0.10:53", "[::1]:53"].map(|s| s.parse().unwrap())
        );
    }
}
