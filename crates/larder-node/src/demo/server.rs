//! The Redis or Valkey server of a run: asked whether it is there, and left as it was.

use std::sync::Arc;

use larder::redis::{Answer, Inspector, Redis};
use larder_core::{Error, ErrorKind, Runtime};
use secrecy::{ExposeSecret, SecretString};

use super::stage::End;

/// Keys that are looked at in one step.
const STEP: &str = "500";

/// A server, and what all keys of this run begin with.
pub(super) struct Server {
    pub(super) url: SecretString,
    pub(super) key_prefix: String,
    redis: Redis,
    runtime: Arc<dyn Runtime>,
}

impl Server {
    /// Asks whether it is there.
    pub(super) async fn find(url: SecretString, runtime: Arc<dyn Runtime>) -> Result<Server, End> {
        let redis = Redis::open(url.expose_secret()).map_err(end)?;
        let inspector = redis.inspect(runtime.clone()).await.map_err(end)?;
        if let Answer::Refused(said) = inspector.ask(&["PING"]).await.map_err(end)? {
            return Err(End::Refused(format!("{redis}: {said}")));
        }
        Ok(Server {
            url,
            key_prefix: format!("larder-demo-{:016x}:", runtime.random()),
            redis,
            runtime,
        })
    }

    /// Removes all keys of this run. Nobody may write any more.
    pub(super) async fn clean(&self) -> Result<(), String> {
        let inspector = self.redis.inspect(self.runtime.clone()).await;
        let inspector = inspector.map_err(|error| error.to_string())?;
        let pattern = format!("{}*", self.key_prefix);
        let mut cursor = "0".to_owned();
        loop {
            let scan = ["SCAN", &cursor, "MATCH", &pattern, "COUNT", STEP];
            let (next, keys) = page(ask(&inspector, &scan).await?)?;
            if !keys.is_empty() {
                let unlink = [vec![b"UNLINK".to_vec()], keys].concat();
                let _ = ask(&inspector, &unlink).await?;
            }
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }
}

async fn ask<B: AsRef<[u8]>>(inspector: &Inspector, words: &[B]) -> Result<Answer, String> {
    match inspector.ask(words).await {
        Ok(Answer::Refused(said)) => Err(said),
        Ok(answer) => Ok(answer),
        Err(error) => Err(error.to_string()),
    }
}

/// What `SCAN` answers: where to go on, and keys.
fn page(answer: Answer) -> Result<(String, Vec<Vec<u8>>), String> {
    if let Answer::List(parts) = answer
        && let [Answer::Text(cursor), Answer::List(keys)] = &parts[..]
    {
        let keys = keys.iter().filter_map(|key| match key {
            Answer::Text(key) => Some(key.to_vec()),
            _ => None,
        });
        return Ok((String::from_utf8_lossy(cursor).into_owned(), keys.collect()));
    }
    Err("the server does not list its keys".into())
}

fn end(error: Error) -> End {
    let line = format!("the server cannot be used – {error}");
    match error.kind() {
        ErrorKind::Refused => End::Refused(line),
        ErrorKind::Config => End::Usage(line),
        _ => End::Unreachable(line),
    }
}
