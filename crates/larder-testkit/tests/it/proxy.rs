//! Every fault of the proxy does what it says, seen from both ends of a connection.
//!
//! "Never" is shown by what must have happened instead: bytes are counted as swallowed, or later
//! ones arrive first.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod ends;
mod holes;
mod pace;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use larder_testkit::proxy::{Counts, Proxy};
use larder_testkit::servers::until;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(30);
/// What takes this long takes for ever.
const NEVER: Duration = Duration::from_secs(3_600);

/// A proxy and the server behind it.
struct Setting {
    proxy: Proxy,
    server: TcpListener,
}

/// One end of a connection.
struct End(TcpStream);

impl Setting {
    fn new() -> Setting {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap());
        Setting { proxy, server }
    }

    fn marking(self, text: &[u8]) -> Setting {
        let proxy = self.proxy.marking(text);
        Setting { proxy, ..self }
    }

    /// A client that has opened a connection, which the server may not know.
    fn client(&self) -> End {
        End::new(TcpStream::connect(self.proxy.address()).unwrap())
    }

    /// A client and what the server has of it.
    fn connect(&self) -> (End, End) {
        let client = self.client();
        let (server, _) = self.server.accept().unwrap();
        (client, End::new(server))
    }

    /// Waits until the counts say so.
    fn count(&self, what: &str, is_so: impl Fn(&Counts) -> bool) {
        let counts = until(SOON, what, || is_so(&self.proxy.counts()));
        assert!(counts.is_ok(), "{what}: {:?}", self.proxy.counts());
    }
}

impl End {
    fn new(stream: TcpStream) -> End {
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        End(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next bytes, as many as these; they must be these.
    fn gets(&mut self, bytes: &[u8]) {
        let mut found = vec![0; bytes.len()];
        self.0.read_exact(&mut found).unwrap();
        assert_eq!(found, bytes);
    }

    /// There is nothing to be read, and the connection is open.
    fn has_nothing(&mut self) {
        self.0.set_nonblocking(true).unwrap();
        let found = self.0.read(&mut [0; 16]).map_err(|error| error.kind());
        assert_eq!(found, Err(ErrorKind::WouldBlock));
        self.0.set_nonblocking(false).unwrap();
    }

    fn finish(&mut self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// The other side has closed.
    fn is_closed(&mut self) {
        assert_eq!(self.0.read(&mut [0; 16]).unwrap(), 0);
    }

    fn is_reset(&mut self) {
        let found = self.0.read(&mut [0; 16]).map_err(|error| error.kind());
        assert_eq!(found, Err(ErrorKind::ConnectionReset));
    }
}

/// Bytes of which no two pieces are alike.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn without_faults_bytes_and_farewells_pass_in_both_directions() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    let requests = text(3_000_000);
    let echo = std::thread::spawn(move || {
        let mut found = Vec::new();
        server.0.read_to_end(&mut found).unwrap();
        server.send(&found);
    });
    client.send(&requests);
    client.finish();
    client.gets(&requests);
    client.is_closed();
    echo.join().unwrap();
    setting.count("the end", |counts| counts.open == 0);
    let counts = setting.proxy.counts();
    assert_eq!((counts.accepted, counts.reset), (1, 0));
    let bytes = requests.len() as u64;
    assert_eq!(
        (counts.requests.passed, counts.replies.passed),
        (bytes, bytes)
    );
    assert_eq!(counts.requests.swallowed + counts.replies.swallowed, 0);
}

#[test]
fn a_reset_of_one_side_reaches_the_other() {
    let setting = Setting::new();
    let (mut client, server) = setting.connect();
    // Closing with something unread is a reset.
    client.send(b"unread");
    setting.count("the request", |counts| counts.requests.passed == 6);
    until(SOON, "its arrival", || {
        server.0.peek(&mut [0; 6]).unwrap() == 6
    })
    .unwrap();
    drop(server);
    client.is_reset();
}

#[test]
fn a_server_that_is_not_there_resets_its_clients() {
    let setting = Setting::new();
    let Setting { proxy, server } = setting;
    drop(server);
    let mut client = End::new(TcpStream::connect(proxy.address()).unwrap());
    client.is_reset();
}

#[test]
fn dropping_the_proxy_closes_everything() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    let address = setting.proxy.address();
    drop(setting.proxy);
    client.is_closed();
    server.is_closed();
    let refused = TcpStream::connect(address).map_err(|error| error.kind());
    assert_eq!(refused.map(drop), Err(ErrorKind::ConnectionRefused));
}
