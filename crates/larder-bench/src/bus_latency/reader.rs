//! The second process: a cache on the same server that tells when its copies go.
//!
//! It is asked on its standard input, one number in each line: the key that it is to hold. It
//! answers on its standard output: `held <key>`, `dropped <key> <instant>`, `heard <round>
//! <instant>` for a bare message; and `hits <count>` when its input ends.

use std::convert::Infallible;
use std::env;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use larder::{Cause, Source};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{CHANNEL, Rows, load, place};
use crate::measure::{instant, runtime};

/// Nothing takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// The second process, as the first one has it.
pub(super) struct Reader {
    process: Child,
    ask: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Reader {
    pub(super) async fn start(url: &str, hits_per_ms: Option<u64>) -> Reader {
        let program = env::current_exe().expect("this program has a path");
        let hits = hits_per_ms.map_or("restless".to_owned(), |hits| hits.to_string());
        let process = Command::new(program)
            .args(["bus-reader", url, &hits])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = process.expect("this program starts");
        let answers = process.stdout.take().expect("it is piped");
        let mut reader = Reader {
            ask: process.stdin.take(),
            answers: BufReader::new(answers).lines(),
            process,
        };
        assert_eq!(reader.next("ready").await, [0, 0]);
        reader
    }

    /// Returns once the other process has a near copy of this key.
    pub(super) async fn hold(&mut self, key: u64) {
        let ask = self.ask.as_mut().expect("it is open until the end");
        let asked = ask.write_all(format!("{key}\n").as_bytes()).await;
        asked.expect("the reader runs");
        while self.next("held").await[0] != key as i64 {}
    }

    /// When the copy of this key went.
    pub(super) async fn dropped(&mut self, key: u64) -> i64 {
        self.instant("dropped", key).await
    }

    /// When the bare message of this round arrived.
    pub(super) async fn heard(&mut self, round: u64) -> i64 {
        self.instant("heard", round).await
    }

    /// Ends the process; tells how many near hits it had.
    pub(super) async fn end(&mut self) -> i64 {
        self.ask = None;
        let [hits, _] = self.next("hits").await;
        let ended = self.process.wait().await;
        ended.expect("it can be waited for");
        hits
    }

    async fn instant(&mut self, what: &str, number: u64) -> i64 {
        loop {
            let [of, instant] = self.next(what).await;
            if of == number as i64 {
                return instant;
            }
        }
    }

    /// The numbers of the next answer of this kind.
    async fn next(&mut self, what: &str) -> [i64; 2] {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
            let line = line.expect("it answers within ten seconds");
            let line = line.ok().flatten().expect("the reader runs");
            let mut words = line.split(' ');
            if words.next() != Some(what) {
                continue;
            }
            let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            return [number(), number()];
        }
    }
}

/// What the second process does.
pub(crate) fn run(url: &str, hits_per_ms: &str) {
    let hits_per_ms = (hits_per_ms != "restless").then(|| hits_per_ms.parse().unwrap_or(0));
    let served = serve(url.to_owned(), hits_per_ms);
    let served = runtime().block_on(async { tokio::spawn(served).await });
    served.expect("nothing goes wrong");
}

async fn serve(url: String, hits_per_ms: Option<u64>) {
    let cache = listening(&url).await;
    let is_mesh = place::is_mesh(&url);
    if !is_mesh {
        tokio::spawn(hear(url));
    }
    let hits = Arc::<AtomicU64>::default();
    if hits_per_ms != Some(0) {
        tokio::spawn(load::hit(cache.clone(), hits_per_ms, hits.clone()));
    }
    let mut asked = BufReader::new(tokio::io::stdin()).lines();
    say("ready", 0, 0);
    while let Ok(Some(line)) = asked.next_line().await {
        let key = line.parse().expect("only keys are asked for");
        while !is_held(&cache, key, is_mesh).await {}
        say("held", key as i64, 0);
    }
    say("hits", hits.load(Ordering::Relaxed) as i64, 0);
}

async fn is_held(cache: &Rows, key: u64, is_mesh: bool) -> bool {
    if is_mesh {
        // Values are not sent: each process loads its own.
        let loaded = cache.get_or_load(&key, move |_| async move { Ok::<_, Infallible>(key) });
        return loaded
            .await
            .is_ok_and(|found| found.source() == Source::Near);
    }
    let found = cache.get(&key).await.expect("the server answers");
    found.is_some_and(|found| found.source() == Source::Near)
}

async fn listening(url: &str) -> Rows {
    let builder = place::builder(url).await.listener(|_, value: &u64, cause| {
        if cause == Cause::Explicit {
            say("dropped", *value as i64, instant());
        }
    });
    builder.build().await.expect("the settings are valid")
}

/// Takes bare messages.
async fn hear(url: String) {
    let client = redis::Client::open(url).expect("the address is sound");
    let subscriber = client.get_async_pubsub().await;
    let mut subscriber = subscriber.expect("the server is there");
    let subscribed = subscriber.subscribe(CHANNEL).await;
    subscribed.expect("the server is there");
    let mut messages = subscriber.into_on_message();
    while let Some(message) = messages.next().await {
        let arrived = instant();
        let round = message.get_payload_bytes().first_chunk().copied();
        say("heard", round.map_or(0, i64::from_be_bytes), arrived);
    }
}

fn say(what: &str, number: i64, instant: i64) {
    let said = writeln!(std::io::stdout(), "{what} {number} {instant}");
    // The other process is gone, and this one ends with it.
    said.unwrap_or(());
}
