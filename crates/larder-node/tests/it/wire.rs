//! A raw connection to a RESP port: bytes out, replies in.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;
use larder_resp::{Reply, ReplyDecoder, write_command};

use crate::node::LIMIT;

/// One connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    decoder: ReplyDecoder,
    buffer: BytesMut,
}

impl Wire {
    pub(crate) fn connect(addr: SocketAddr) -> Wire {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Wire {
            stream,
            decoder: ReplyDecoder::default(),
            buffer: BytesMut::new(),
        }
    }

    /// Sends a command and gives its reply.
    pub(crate) fn call(&mut self, words: &[impl AsRef<[u8]>]) -> Reply {
        self.send(&encode([words]));
        self.reply()
    }

    /// The same with a command of plain words; the reply as `redis-cli` would show the bytes.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        show(&self.call(&words))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply()
            .unwrap()
            .expect("a reply before the end of the stream")
    }

    /// The next reply; `None` at the end of the stream.
    pub(crate) fn try_reply(&mut self) -> io::Result<Option<Reply>> {
        loop {
            if let Some(reply) = self.decoder.decode(&mut self.buffer).unwrap() {
                return Ok(Some(reply));
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk)? {
                0 => return Ok(None),
                bytes => self.buffer.extend_from_slice(&chunk[..bytes]),
            }
        }
    }

    /// Everything up to the end of the stream, as it came.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut rest = self.buffer.to_vec();
        // A reset is an end as well, with what came before it.
        let mut chunk = [0; 16 * 1024];
        while let Ok(bytes @ 1..) = self.stream.read(&mut chunk) {
            rest.extend_from_slice(&chunk[..bytes]);
        }
        rest
    }
}

/// Commands as they are sent.
pub(crate) fn encode<W: AsRef<[u8]>>(
    commands: impl IntoIterator<Item = impl AsRef<[W]>>,
) -> BytesMut {
    let mut out = BytesMut::new();
    for command in commands {
        write_command(&mut out, command.as_ref());
    }
    out
}

/// A reply in one line.
pub(crate) fn show(reply: &Reply) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match reply {
        Reply::Simple(status) => text(status),
        Reply::Error(error) => format!("-{}", text(error)),
        Reply::Bulk(bytes) => text(bytes),
        Reply::Verbatim { text: bytes, .. } => text(bytes),
        Reply::Integer(number) => number.to_string(),
        Reply::Null | Reply::NullArray => "(nil)".into(),
        Reply::Array(items) | Reply::Set(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// Asks until the reply is this one.
pub(crate) fn until_reply(wire: &mut Wire, request: &str, reply: &str) {
    let asked = larder_testkit::servers::until(LIMIT, "the reply", || wire.ask(request) == reply);
    asked.unwrap();
}
