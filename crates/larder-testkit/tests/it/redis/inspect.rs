//! Questions to the server itself: what a user may not do is found, and nothing is left behind.

use std::sync::Arc;

use larder::TokioRuntime;
use larder_core::error::ErrorKind;
use larder_redis::{Answer, Inspector, Purpose, Redis};
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{open, patient};

/// What the page of the crate asks for.
const COMMANDS: &str = "get mget getrange set setrange unlink pexpire pexpireat persist pttl \
    hget hgetall hlen hmget hset hdel time eval evalsha scan randomkey info hincrby xadd xrange publish subscribe ping";

async fn inspect(redis: Redis) -> Inspector {
    let runtime = Arc::new(TokioRuntime::current());
    redis.inspect(runtime).await.unwrap()
}

/// A user with these rules, on a server that others administer.
fn user(server: &RedisServer, rules: &str) -> Redis {
    let setting = ["ACL", "SETUSER", "app", "reset", "on", ">secret"];
    let rules = rules.split_whitespace();
    let words: Vec<&str> = setting.into_iter().chain(rules).collect();
    assert_eq!(server.cli(&words), "OK", "{words:?}");
    let address = format!("redis://app:secret@127.0.0.1:{}", server.port());
    open(&address).response_timeout(super::SOON)
}

fn rules() -> String {
    let commands: Vec<String> = COMMANDS
        .split_whitespace()
        .map(|command| format!("+{command}"))
        .collect();
    format!("~* &* {}", commands.join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_do_everything_is_denied_nothing_and_nothing_is_left() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let inspector = inspect(user(&server, &rules())).await;
    assert_eq!(inspector.denied().await.unwrap(), []);
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_that_is_missing_is_named() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    for missing in COMMANDS.split_whitespace() {
        let rules = format!("{} -{missing}", rules());
        let inspector = inspect(user(&server, &rules)).await;
        let denied = inspector.denied().await.unwrap();
        let commands: Vec<&str> = denied.iter().map(|denied| denied.command).collect();
        assert_eq!(commands, [missing.to_uppercase()]);
        assert!(denied[0].said.contains("NOPERM"), "{denied:?}");
        // What could not be removed ends by itself.
        let keys = server.cli(&["DBSIZE"]);
        let ending = server.cli(&["INFO", "keyspace"]);
        assert!(keys == "0" || ending.contains(&format!("keys={keys},expires={keys}")));
        server.cli(&["FLUSHALL"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_to_other_keys_and_channels_are_not_enough() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let other = rules().replace("~*", "~app:*");
    let inspector = inspect(user(&server, &other)).await;
    let denied = inspector.denied().await.unwrap();
    assert!(denied.iter().any(|denied| denied.command == "GET"));
    assert!(denied.iter().all(|denied| denied.command != "PING"));
    // The same user behind a prefix of its own.
    let inspector = inspect(user(&server, &other).key_prefix("app:")).await;
    assert_eq!(inspector.denied().await.unwrap(), []);

    let other = rules().replace("&*", "resetchannels &news");
    let inspector = inspect(user(&server, &other)).await;
    let denied = inspector.denied().await.unwrap();
    let found: Vec<_> = denied.iter().map(|d| (d.command, d.purpose)).collect();
    let bus = |command| (command, Purpose::Bus);
    assert_eq!(found, [bus("PUBLISH"), bus("SUBSCRIBE")]);
    // The very channel will do for who may queue commands. Rules cannot hold its first byte.
    let exact = format!("{} +multi +discard", other.replace("&news", "&?slog:0"));
    let inspector = inspect(user(&server, &exact)).await;
    assert_eq!(inspector.denied().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_any_right_can_still_be_asked_about() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let inspector = inspect(user(&server, "-@all")).await;
    let denied = inspector.denied().await.unwrap();
    assert_eq!(denied.len(), COMMANDS.split_whitespace().count());
    let answer = inspector.ask(&["PING"]).await.unwrap();
    assert!(matches!(answer, Answer::Refused(said) if said.starts_with("NOPERM")));
}

#[tokio::test]
async fn answers_have_the_shapes_that_the_server_gave_them() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let inspector = inspect(patient(&server)).await;
    let ask = async |words: &[&str]| inspector.ask(words).await.unwrap();
    let text = |text: &'static str| Answer::Text(text.into());
    assert_eq!(ask(&["SET", "k", "v"]).await, text("OK"));
    assert_eq!(
        ask(&["MGET", "k", "no"]).await,
        Answer::List(vec![text("v"), Answer::Nothing])
    );
    assert_eq!(ask(&["STRLEN", "k"]).await, Answer::Number(1));
    assert!(matches!(ask(&["NONSENSE"]).await, Answer::Refused(said) if said.starts_with("ERR")));
    server.stop_signal();
    let hasty = inspect_frozen(&server).await;
    server.cont_signal();
    assert!(
        matches!(hasty, ErrorKind::Unavailable | ErrorKind::Timeout),
        "{hasty:?}"
    );
}

/// How the question of an impatient one to a frozen server ends.
async fn inspect_frozen(server: &RedisServer) -> ErrorKind {
    let brief = std::time::Duration::from_millis(100);
    let redis = open(&server.url())
        .connect_timeout(brief)
        .response_timeout(brief);
    let runtime = Arc::new(TokioRuntime::current());
    match redis.inspect(runtime).await {
        Ok(inspector) => inspector.ask(&["PING"]).await.unwrap_err().kind(),
        Err(error) => error.kind(),
    }
}

#[test]
fn the_parts_of_an_address_are_told_without_its_password() {
    let parts = open("rediss://app:sesame@cache:7000/2#insecure").address_parts();
    assert_eq!(parts.tcp, Some(("cache".to_owned(), 7000)));
    assert!(parts.is_encrypted && parts.trusts_anybody && parts.has_password);
    assert!(!format!("{parts:?}").contains("sesame"));
    let parts = open("unix:///run/redis.sock").address_parts();
    assert_eq!(parts.socket.unwrap().to_str(), Some("/run/redis.sock"));
    assert!(!parts.is_encrypted && !parts.has_password && parts.tcp.is_none());
}
