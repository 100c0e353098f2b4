//! The processes, the links between them, a writer that never rests, and the faults.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder::TokioRuntime;
use larder::core::Runtime;
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::servers::{Daemon, RedisOptions, RedisServer};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::engine::{self, ROWS, tag};
use super::history::{History, Tally, Verdict};
use crate::support::{Users, in_time, node_at, server};

pub(super) const ENGINES: usize = 3;
/// Between two changes of the source.
const PACE: Duration = Duration::from_millis(5);
/// How long a fault lasts, and how long nothing happens after it.
const LASTS: Duration = Duration::from_millis(1_300);
const REST: Duration = Duration::from_millis(400);

/// Everything that happens, in the order of a round.
pub(super) const FAULTS: [&str; 12] = [
    "an engine is killed",
    "an engine is stopped",
    "the server is stopped",
    "a link swallows everything",
    "a link swallows requests",
    "a link swallows replies",
    "connections are reset",
    "the log is trimmed to nothing",
    "the server is flushed",
    "the server is killed",
    "the server comes back from an old dump",
    "a replica that lags takes over",
];

struct Engine {
    process: Daemon,
    proxy: Proxy,
}

pub(super) struct Stage {
    runtime: Arc<TokioRuntime>,
    engines: Vec<Engine>,
    /// The server in use, and the one that follows it behind a link of its own.
    server: RedisServer,
    replica: RedisServer,
    to_replica: Proxy,
    /// The writer's link.
    link: Arc<Proxy>,
    folder: tempfile::TempDir,
    history: Arc<Mutex<History>>,
    repeated: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    writer: JoinHandle<()>,
    logs: Vec<String>,
    tally: Tally,
}

impl Stage {
    pub(super) async fn set() -> Option<Stage> {
        let server = server()?;
        let replica = RedisServer::start(RedisOptions::new());
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let rows = File::create_new(folder.path().join("rows")).expect("it is a new folder");
        rows.set_len(ROWS * 8).expect("there is room for the rows");
        let link = Arc::new(Proxy::to_port(server.port()));
        let to_replica = Proxy::to_port(server.port());
        let runtime = Arc::new(TokioRuntime::current());
        let history = Arc::new(Mutex::new(History::new()));
        let (repeated, ends) = <(Arc<AtomicU64>, Arc<AtomicBool>)>::default();
        let writer = Writer {
            cache: node_at(link.address())
                .build()
                .await
                .expect("it is a cache"),
            runtime: runtime.clone(),
            rows,
            history: history.clone(),
            repeated: repeated.clone(),
        };
        let over = ends.clone();
        let mut stage = Stage {
            runtime,
            engines: Vec::new(),
            server,
            replica,
            to_replica,
            link,
            folder,
            history,
            repeated,
            ends,
            writer: tokio::spawn(async move { writer.write(&over).await }),
            logs: Vec::new(),
            tally: Tally::default(),
        };
        for _ in 0..ENGINES {
            let proxy = Proxy::to_port(stage.server.port());
            let process = stage.start_engine(&proxy);
            stage.engines.push(Engine { process, proxy });
        }
        stage.follow().await;
        stage.pause(LASTS).await;
        Some(stage)
    }

    fn start_engine(&mut self, proxy: &Proxy) -> Daemon {
        let life = self.tally.lives;
        self.tally.lives += 1;
        let log = self.log(life);
        engine::start(proxy.port(), &self.folder.path().join("rows"), &log)
    }

    fn log(&self, life: usize) -> PathBuf {
        self.folder.path().join(format!("engine-{life}"))
    }

    async fn pause(&self, time: Duration) {
        self.runtime.sleep(time).await;
    }

    /// Makes one thing happen, sees it through, and lets everybody come to.
    pub(super) async fn play(&mut self, fault: &str, round: u64) {
        let at = round as usize % ENGINES;
        match fault {
            "an engine is killed" => {
                let old = self.engines.swap_remove(at);
                let mut process = old.process;
                process.kill();
                self.logs.push(process.log());
                let process = self.start_engine(&old.proxy);
                let proxy = old.proxy;
                self.engines.push(Engine { process, proxy });
                self.pause(LASTS).await;
            }
            "an engine is stopped" => {
                self.engines[at].process.stop_signal();
                self.pause(LASTS).await;
                self.engines[at].process.cont_signal();
            }
            "the server is stopped" => {
                self.server.stop_signal();
                self.pause(LASTS).await;
                self.server.cont_signal();
            }
            "a link swallows everything" => self.swallow(at, Traffic::ALL).await,
            "a link swallows requests" => self.swallow(at, Traffic::REQUESTS).await,
            "a link swallows replies" => self.swallow(at, Traffic::REPLIES).await,
            "connections are reset" => {
                for _ in 0..5 {
                    self.engines.iter().for_each(|engine| engine.proxy.reset());
                    self.link.reset();
                    self.pause(LASTS / 5).await;
                }
            }
            "the log is trimmed to nothing" => {
                let trim = "for _, key in ipairs(redis.call('KEYS', '*')) do \
                            if redis.call('TYPE', key).ok == 'stream' then \
                            redis.call('XTRIM', key, 'MAXLEN', 0) end end";
                for _ in 0..5 {
                    self.server.cli(&["EVAL", trim, "0"]);
                    self.pause(LASTS / 5).await;
                }
            }
            "the server is flushed" => {
                self.server.cli(&["FLUSHALL"]);
                self.pause(LASTS).await;
            }
            "the server is killed" => {
                self.server.kill();
                self.pause(LASTS).await;
                self.server.restart();
            }
            "the server comes back from an old dump" => {
                self.server.cli(&["SAVE"]);
                self.pause(LASTS).await;
                self.server.kill();
                self.server.restart();
            }
            "a replica that lags takes over" => self.fail_over().await,
            _ => panic!("{fault}: nobody knows how"),
        }
        *self.tally.faults.entry(fault.to_owned()).or_default() += 1;
        self.pause(REST).await;
    }

    async fn swallow(&self, at: usize, traffic: Traffic) {
        self.engines[at].proxy.set(traffic, Fault::BlackHole);
        self.pause(LASTS).await;
        self.engines[at].proxy.heal();
    }

    /// Lets the replica follow the server, and waits until it has all.
    async fn follow(&self) {
        let port = self.to_replica.port().to_string();
        self.replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
        let follows = || self.replica.cli(&["INFO", "replication"]);
        in_time(async {
            while !follows().contains("master_link_status:up") {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn fail_over(&mut self) {
        self.to_replica.set(Traffic::ALL, Fault::BlackHole);
        self.pause(LASTS).await;
        self.server.kill();
        self.replica.cli(&["REPLICAOF", "NO", "ONE"]);
        std::mem::swap(&mut self.server, &mut self.replica);
        let port = self.server.port();
        for proxy in self.engines.iter().map(|engine| &engine.proxy) {
            proxy.lead_to_port(port);
        }
        self.link.lead_to_port(port);
        self.replica.restart();
        self.to_replica.heal();
        self.to_replica.lead_to_port(port);
        self.follow().await;
    }

    /// Ends the changes, waits for what was promised, and judges every read.
    pub(super) async fn end(mut self) -> Verdict {
        self.ends.store(true, Ordering::SeqCst);
        self.writer
            .await
            .expect("the writer ends when it is told to");
        self.runtime.sleep(Duration::from_secs(2)).await;
        self.history.lock().all_is_well(self.runtime.precise().0);
        self.runtime.sleep(LASTS).await;
        for engine in &mut self.engines {
            engine.process.kill();
            self.logs.push(engine.process.log());
        }
        let history = self.history.lock();
        let tally = Tally {
            lives: 0,
            changes: history.changes(),
            repeated: self.repeated.load(Ordering::SeqCst),
            ..self.tally
        };
        let mut verdict = Verdict {
            tally,
            broken: Vec::new(),
        };
        for log in &self.logs {
            history.judge(log, &mut verdict);
        }
        verdict
    }
}

/// Changes rows of the source, and tells its cache until that has taken it.
struct Writer {
    cache: Users,
    runtime: Arc<TokioRuntime>,
    rows: File,
    history: Arc<Mutex<History>>,
    repeated: Arc<AtomicU64>,
}

impl Writer {
    async fn write(&self, ends: &AtomicBool) {
        let mut change = 0;
        while !ends.load(Ordering::SeqCst) {
            let key = change * 7 % ROWS;
            let value = change + 1;
            self.rows
                .write_all_at(&value.to_le_bytes(), key * 8)
                .expect("there is room for the rows");
            while self.tell(key, value).await.is_err() {
                self.repeated.fetch_add(1, Ordering::SeqCst);
                self.runtime.sleep(PACE).await;
            }
            let now = self.runtime.precise().0;
            self.history.lock().acknowledged(key, value, now);
            change += 1;
            self.runtime.sleep(PACE).await;
        }
    }

    /// In all the ways in which one row can be reached.
    async fn tell(&self, key: u64, value: u64) -> larder::core::error::Result<()> {
        let cache = &self.cache;
        let told = match value % 4 {
            // Seldom, or there would be few copies.
            _ if value.is_multiple_of(40) => cache.expire_all().await,
            0 => cache.invalidate_tag(tag(key)).await,
            1 => cache.invalidate_pattern(&key.to_string()).await,
            2 => cache.expire(&key).await,
            _ => cache.invalidate(&key).await,
        };
        told.map(drop)
    }
}
