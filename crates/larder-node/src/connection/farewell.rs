//! Last words to a peer that sent what is no request.

use std::net::SocketAddr;
use std::sync::Once;
use std::time::Duration;

use larder_resp::ProtocolError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::end::End;

/// How long a parting may take.
pub(super) const LONGEST: Duration = Duration::from_secs(1);
/// How much more of a peer's nonsense is taken in while it reads the answer.
const MOST_IGNORED: usize = 1024 * 1024;

/// What to say, if anything.
pub(super) fn last_words(end: &End, http: SocketAddr) -> Option<Vec<u8>> {
    match end {
        End::Protocol(ProtocolError::HttpRequest) => Some(http_answer(http)),
        End::Protocol(ProtocolError::TlsClientHello) => {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                tracing::warn!(
                    "a client tried TLS on the RESP port, which speaks plain text; \
                     this is said only once"
                );
            });
            None
        }
        End::Protocol(error) => Some(format!("-ERR {error}\r\n").into_bytes()),
        _ => None,
    }
}

fn http_answer(http: SocketAddr) -> Vec<u8> {
    let port = http.port();
    let body = format!(
        "This port speaks the Redis protocol. The HTTP API of this node is on port {port}.\n"
    );
    let length = body.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends the last words and waits a little for the peer to take them: closing while it still
/// sends would make the kernel throw them away.
pub(super) async fn part(stream: &mut TcpStream, words: &[u8], limit: impl Future<Output = ()>) {
    let parting = async {
        stream.write_all(words).await?;
        stream.shutdown().await?;
        let mut ignored = 0;
        let mut nonsense = [0; 4096];
        while ignored < MOST_IGNORED {
            match stream.read(&mut nonsense).await? {
                0 => break,
                bytes => ignored += bytes,
            }
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        // A peer that has gone needs no words.
        _ = parting => {}
        () = limit => {}
    }
}
