//! A name server whose answers change while a test runs, and which can be as bad as real ones are.
//!
//! It speaks UDP and TCP on one port of 127.0.0.1, knows A, AAAA, SRV and CNAME, and runs on a
//! thread of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::free_port;

const TRIES: usize = 8;
const HEADER_BYTES: usize = 12;

/// A record of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsRecord {
    /// A or AAAA.
    Ip(IpAddr),
    /// SRV: a host and a port.
    Service(String, u16),
    /// CNAME: this name is another one, whose records are sent along.
    Alias(String),
}

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsMood {
    /// It answers.
    Sound,
    /// Its datagrams say that the answer is too long for them; over TCP it answers.
    Truncating,
    /// It says nothing.
    Silent,
    /// It says that it failed.
    Failing,
    /// It sends bytes that are no answer.
    Babbling,
    /// Before the answer it sends one with another id, which names addresses that are wrong.
    Forged,
}

#[derive(Debug)]
struct State {
    records: BTreeMap<String, Vec<DnsRecord>>,
    mood: DnsMood,
    asked: u64,
    asked_over_tcp: u64,
}

/// A running name server. Dropping it ends it.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl DnsServer {
    /// Starts a server that knows no name.
    ///
    /// # Panics
    ///
    /// If there is no port or no thread to be had.
    pub fn start() -> DnsServer {
        let state = Arc::new(Mutex::new(State {
            records: BTreeMap::new(),
            mood: DnsMood::Sound,
            asked: 0,
            asked_over_tcp: 0,
        }));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("name-server".to_owned());
        let thread = thread.spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime can be built");
            runtime.block_on(async {
                let (udp, tcp) = open().await.expect("there is a free port");
                let address = udp.local_addr().expect("a bound socket has an address");
                // An error: whoever started it has panicked.
                let _ = tell.send(address);
                tokio::select! {
                    _ = serve_udp(&udp, &shared) => {}
                    _ = serve_tcp(&tcp, &shared) => {}
                    _ = stopped => {}
                }
            });
        });
        let thread = thread.expect("a thread can be started");
        DnsServer {
            address: told.recv().expect("the name server has started"),
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Returns where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives a name these records and no others; without any the name does not exist.
    pub fn set(&self, name: &str, records: &[DnsRecord]) {
        let mut state = lock(&self.state);
        state.records.remove(name);
        if !records.is_empty() {
            state.records.insert(name.to_owned(), records.to_vec());
        }
    }

    /// Makes it behave so from now on.
    pub fn mood(&self, mood: DnsMood) {
        lock(&self.state).mood = mood;
    }

    /// Returns how many questions it has read, and how many of them over TCP.
    pub fn asked(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.asked, state.asked_over_tcp)
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked: the test that needed it has seen that.
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn open() -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 1;
    loop {
        let port = free_port();
        let tcp = TcpListener::bind(("127.0.0.1", port)).await;
        let udp = UdpSocket::bind(("127.0.0.1", port)).await;
        match (udp, tcp) {
            (Ok(udp), Ok(tcp)) => return Ok((udp, tcp)),
            (Err(error), _) | (_, Err(error)) if tries >= TRIES => return Err(error),
            _ => tries += 1,
        }
    }
}

async fn serve_udp(socket: &UdpSocket, state: &Mutex<State>) -> io::Result<()> {
    let mut bytes = [0; 512];
    loop {
        let (count, from) = socket.recv_from(&mut bytes).await?;
        let answers = answers(&bytes[..count], state, true);
        for answer in answers {
            socket.send_to(&answer, from).await?;
        }
    }
}

async fn serve_tcp(listener: &TcpListener, state: &Mutex<State>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // An error belongs to a client that has gone.
        let _ = serve_stream(stream, state).await;
    }
}

async fn serve_stream(mut stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut question = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut question).await?;
    for answer in answers(&question, state, false) {
        stream.write_u16(answer.len() as u16).await?;
        stream.write_all(&answer).await?;
    }
    Ok(())
}

fn answers(question: &[u8], state: &Mutex<State>, is_udp: bool) -> Vec<Vec<u8>> {
    let mut state = lock(state);
    state.asked += 1;
    state.asked_over_tcp += u64::from(!is_udp);
    let sound = answer(question, &state.records, 0);
    match state.mood {
        DnsMood::Sound => vec![sound],
        DnsMood::Truncating if !is_udp => vec![sound],
        DnsMood::Truncating => vec![answer(question, &BTreeMap::new(), 0x0200)],
        DnsMood::Silent => Vec::new(),
        DnsMood::Failing => vec![answer(question, &BTreeMap::new(), 2)],
        DnsMood::Babbling => {
            // The id and the flags of an answer, and then nothing that makes sense.
            let mut bytes = sound[..sound.len().min(HEADER_BYTES)].to_vec();
            bytes.extend_from_slice(&[0xff; 40]);
            vec![bytes]
        }
        DnsMood::Forged => {
            let mut forged = sound.clone();
            forged[0] ^= 0xff;
            let last = forged.len() - 1;
            forged[last] ^= 0xff;
            vec![forged, sound]
        }
    }
}

/// The answer with these flags besides those that every answer has.
fn answer(question: &[u8], records: &BTreeMap<String, Vec<DnsRecord>>, flags: u16) -> Vec<u8> {
    let (name, end) = name(question);
    let kind = u16::from_be_bytes([question[end], question[end + 1]]);
    let mut body = Vec::new();
    let mut count = 0_u16;
    let mut owner = name.clone();
    while let Some(found) = records.get(&owner) {
        let mut alias = None;
        for record in found {
            let (number, data) = match record {
                DnsRecord::Ip(IpAddr::V4(ip)) => (1, ip.octets().to_vec()),
                DnsRecord::Ip(IpAddr::V6(ip)) => (28, ip.octets().to_vec()),
                DnsRecord::Service(host, port) => {
                    let port = port.to_be_bytes();
                    (
                        33,
                        [&[0, 0, 0, 0, port[0], port[1]], &labels(host)[..]].concat(),
                    )
                }
                DnsRecord::Alias(target) => {
                    alias = Some(target.clone());
                    (5, labels(target))
                }
            };
            if number == kind || number == 5 {
                count += 1;
                body.extend(labels(&owner));
                body.extend([0, number as u8, 0, 1, 0, 0, 0, 5]);
                body.extend((data.len() as u16).to_be_bytes());
                body.extend(data);
            }
        }
        match alias {
            Some(target) => owner = target,
            None => break,
        }
    }
    let is_known = records.contains_key(&name) || flags != 0;
    let flags = 0x8180 | flags | if is_known { 0 } else { 3 };
    let mut bytes = question[..2].to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(count.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(&question[HEADER_BYTES..end + 4]);
    bytes.extend(body);
    bytes
}

/// The name of a question, and where it ends.
fn name(question: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), HEADER_BYTES);
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 1)
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
