//! A plain connection to the real server: requests as they are, replies as they come.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use larder_resp::{Reply, ReplyDecoder, write_command};

/// A server that is silent for so long is broken.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Client {
    stream: TcpStream,
    buffer: BytesMut,
    decoder: ReplyDecoder,
}

impl Client {
    pub(super) fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        let set = stream.set_nodelay(true);
        set.and_then(|()| stream.set_read_timeout(Some(LIMIT)))
            .expect("a socket takes its options");
        Client {
            stream,
            buffer: BytesMut::with_capacity(1 << 16),
            decoder: ReplyDecoder::default(),
        }
    }

    /// Sends commands in one go; gives their replies.
    pub(super) fn ask(&mut self, commands: &[Vec<Bytes>]) -> Vec<Reply> {
        let mut out = BytesMut::new();
        for command in commands {
            write_command(&mut out, command);
        }
        self.stream.write_all(&out).expect("the server reads");
        commands.iter().map(|_| self.next()).collect()
    }

    /// One command of words.
    pub(super) fn words(&mut self, words: &[&str]) -> Reply {
        let command = words.iter().map(|word| bytes(word)).collect();
        self.ask(&[command]).remove(0)
    }

    /// The next reply or message.
    pub(super) fn next(&mut self) -> Reply {
        loop {
            let reply = self.decoder.decode(&mut self.buffer);
            if let Some(reply) = reply.expect("a server writes replies") {
                return reply;
            }
            let mut chunk = [0; 1 << 14];
            let length = self.stream.read(&mut chunk).expect("the server answers");
            assert!(length > 0, "the server has closed the connection");
            self.buffer.extend_from_slice(&chunk[..length]);
        }
    }
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
