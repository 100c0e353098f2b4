//! An engine in a process of its own: it reads rows through its cache for as long as it lives, and
//! writes down what it has read. It is this test program again, asked for one test that is left out
//! otherwise.

use std::env;
use std::fs::File;
use std::io::{LineWriter, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use larder::core::Runtime;
use larder::{Cx, Source, TokioRuntime};
use larder_testkit::servers::Daemon;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::scenarios::take_out;
use crate::support::{Oops, Users, node_at};

pub(super) const ROWS: u64 = 32;
/// Reads under way at once, and the time between the beginnings of two.
const READS: usize = 500;
const PACE: Duration = Duration::from_millis(1);

const PORT: &str = "LARDER_ENGINE_PORT";
const FILE: &str = "LARDER_ENGINE_FILE";

/// Starts an engine that reaches its server by this port.
pub(super) fn start(port: u16, rows: &Path, log: &Path) -> Daemon {
    let mut command = Command::new(env::current_exe().expect("tests have a file"));
    command
        .args(["--exact", "processes::engine::an_engine"])
        .args(["--ignored", "--nocapture"])
        .env(PORT, port.to_string())
        .env(FILE, rows);
    Daemon::spawn(&mut command, log).expect("the tests can be started again")
}

/// What is read of a row: the source.
pub(super) fn row(rows: &File, key: u64) -> u64 {
    let mut bytes = [0; 8];
    rows.read_exact_at(&mut bytes, key * 8)
        .expect("the file has all rows");
    u64::from_le_bytes(bytes)
}

/// By what a row can be reached beside its key.
pub(super) fn tag(key: u64) -> String {
    format!("row {key}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that another test starts"]
async fn an_engine() {
    take_out();
    let port: u16 = env::var(PORT).unwrap().parse().unwrap();
    let rows = Arc::new(File::open(env::var_os(FILE).unwrap()).unwrap());
    let cache = node_at(([127, 0, 0, 1], port).into())
        .build()
        .await
        .unwrap();
    // Lines are written whole, so that only the last one of a process that is killed can be in part.
    let reader = Arc::new(Reader {
        cache,
        rows,
        out: Mutex::new(LineWriter::new(std::io::stdout())),
        runtime: TokioRuntime::current(),
    });
    let parent = parent_id();
    let under_way = Arc::new(Semaphore::new(READS));
    while parent_id() == parent {
        // A read that waits for a link keeps no other one from what it finds near.
        let turn = under_way.clone().acquire_owned().await.unwrap();
        let one = reader.clone();
        tokio::spawn(async move {
            one.read().await;
            drop(turn);
        });
        reader.runtime.sleep(PACE).await;
    }
}

struct Reader {
    cache: Users,
    rows: Arc<File>,
    out: Mutex<LineWriter<std::io::Stdout>>,
    runtime: TokioRuntime,
}

impl Reader {
    /// Reads one row, and writes down what it was.
    async fn read(&self) {
        let key = self.runtime.random() % ROWS;
        let began = self.runtime.precise().0;
        let rows = self.rows.clone();
        let slow = Duration::from_millis(30 * u64::from(self.runtime.random() % 10 < 1));
        let clock = TokioRuntime::current();
        let loader = move |cx: Cx<u64, _>| async move {
            cx.tag(tag(key));
            let value = row(&rows, key);
            clock.sleep(slow).await;
            Ok::<_, Oops>(value)
        };
        let line = match self.cache.get_or_load(&key, loader).await {
            Err(error) => format!("failed {key} {began} {error}"),
            Ok(read) => {
                let source = match read.source() {
                    _ if read.is_stale() => "stale",
                    Source::Near => "near",
                    Source::Remote => "remote",
                    _ => "loaded",
                };
                format!("{source} {key} {began} {}", *read)
            }
        };
        writeln!(self.out.lock(), "{line}").expect("somebody reads it");
    }
}
