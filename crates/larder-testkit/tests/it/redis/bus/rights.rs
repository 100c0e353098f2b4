//! What a user may not do is said, and what is done is never lost.

use larder_core::bus::{Bus, Pushed};
use larder_core::error::ErrorKind;
use larder_redis::RedisStore;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::super::{SOON, open, patient, put, start};
use super::{next, poll, replay, try_poll};

/// The commands for records, as the page of the crate lists them.
const RECORDS: &str = "~app:* resetchannels -@all +get +mget +getrange +set +setrange +unlink \
    +exists +pexpire +pexpireat +persist +pttl +hget +hmget +hset +hdel +time +eval +evalsha";

/// Those that it adds for the bus.
const BUS: &str = "+info +hgetall +hlen +hincrby +xadd +xrange +publish +subscribe +ping &app:*";

fn with(rules: &str) -> Option<RedisServer> {
    let rules = format!("{RECORDS} {rules}");
    RedisServer::start_or_skip(RedisOptions::new().user("app", "secret", rules))
}

fn app(server: &RedisServer) -> std::sync::Arc<RedisStore> {
    start(patient(server).key_prefix("app:"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_listed_commands_can_use_the_bus() {
    let Some(server) = with(BUS) else {
        return;
    };
    let store = app(&server);
    let mut subscription = store.subscribe().await.unwrap();
    poll(&store).await;
    put(&*store, "k", "v").await;
    assert_eq!(replay(&store, 1, 1).await.records.len(), 1);
    assert!(next(&mut *subscription).await.is_some());
    assert_eq!(store.readers().await.unwrap().seen.len(), 1);
    store.nudge().await.unwrap();
    let nudge = subscription.next().await;
    assert_eq!(nudge, Some(Pushed::Nudge));
}

#[tokio::test]
async fn without_info_there_is_no_poll_and_everything_else() {
    let Some(server) = with(&BUS.replace("+info", "")) else {
        return;
    };
    let store = app(&server);
    put(&*store, "k", "v").await;
    let error = try_poll(&store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("INFO"), "{error}");
}

/// A writer without the rights to the log still leaves its number: readers drop their copies.
#[tokio::test]
async fn a_change_that_cannot_be_written_down_is_still_counted() {
    let Some(server) = with("+info +hlen +hincrby +xrange") else {
        return;
    };
    let store = app(&server);
    poll(&store).await;
    put(&*store, "k", "v").await;
    assert_eq!(poll(&store).await.seq, 1);
    let replay = replay(&store, 1, 1).await;
    assert_eq!((replay.oldest, replay.records.len()), (2, 0));
    let error = store.subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

/// A subscription opens a connection of its own: it has to log in and speak TLS like the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_go_over_tls_and_sockets() {
    let options = RedisOptions::new().tls().unix_socket().password("p@ss");
    let Some(server) = RedisServer::start_or_skip(options) else {
        return;
    };
    let socket = server.socket_path();
    let socket = open(&format!("unix://{}?db=2&password=p%40ss", socket.display()));
    let tls = open(&server.tls_url()).ca_file(server.ca_pem_path());
    for redis in [socket, tls] {
        let store = start(redis.response_timeout(SOON).connect_timeout(SOON));
        let mut subscription = store.subscribe().await.unwrap();
        let first = poll(&store).await;
        put(&*store, "k", "v").await;
        let record = next(&mut *subscription).await.unwrap();
        assert_eq!(record.position.incarnation, first.incarnation);
    }
    let stranger = start(open(&format!("redis://:wrong@127.0.0.1:{}", server.port())));
    let error = stranger.subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("WRONGPASS"), "{error}");
}
