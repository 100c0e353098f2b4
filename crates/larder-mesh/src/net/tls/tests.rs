//! Somebody in the middle of two TLS sessions, who has no secret, against real nodes.

use std::net::SocketAddr;
use std::time::Duration;

use larder::TokioRuntime;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;

use super::*;
use crate::{Address, ClusterName, Config, Mesh, NodeName, Secret};

async fn node(name: &str) -> Mesh {
    let config = Config::new(
        ClusterName::new("c").unwrap(),
        NodeName::new(name).unwrap(),
        Secret::new("0123456789abcdef").unwrap(),
        ([127, 0, 0, 1], 0).into(),
    );
    let runtime = Arc::new(TokioRuntime::current());
    Mesh::start(config, runtime).await.unwrap().0
}

/// Carries every byte between whoever comes and this node, in a TLS session with each if it has
/// the means, and else as it comes.
async fn relay(to: SocketAddr, sessions: Option<Sessions>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut onward = TcpStream::connect(to).await.unwrap();
            let _ = match &sessions {
                Some(sessions) => {
                    let mut from = sessions.accept(from).await.unwrap();
                    let mut onward = sessions.connect("larder.mesh", onward).await.unwrap();
                    copy_bidirectional(&mut from, &mut onward).await
                }
                None => copy_bidirectional(&mut from, &mut onward).await,
            };
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_in_the_middle_of_two_sessions_gets_no_link_and_a_mere_wire_does() {
    for is_reading in [false, true] {
        let (a, b) = (node("a").await, node("b").await);
        let sessions = is_reading.then(|| Sessions::new(&Tls::Secret).unwrap().unwrap());
        let between = relay(b.address(), sessions).await;
        a.connect(&Address::from(between));
        let mut changes = b.changes();
        let seen = async {
            loop {
                let refused = b.counts().refused.contains_key("wrong_secret");
                if refused || !b.peers().is_empty() {
                    return refused;
                }
                // A refusal is no change of members, so it is looked for now and then.
                let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
            }
        };
        let refused = tokio::time::timeout(Duration::from_secs(60), seen).await;
        assert_eq!(refused, Ok(is_reading));
        assert_eq!(b.members().is_empty(), is_reading);
    }
}
