//! One node of the demo, in a process of its own: it reads, writes and says what it sees, as it is
//! told on its standard input. It ends when that ends.

mod copies;
mod following;
mod reading;
mod shop;
mod writing;

use std::io::{BufReader, Read, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::TokioRuntime;
use larder_core::{Mono, Runtime};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::catalogue::Version;
use super::figures::{Count, Counters, Figures};
use super::ledger::{Ledger, due_after_acknowledgement, due_after_commit};
use super::message::{self, News, Order, Stamped, Start};
use super::zipf::Zipf;
use crate::serve;
use crate::settings::{LogFormat, LogSettings};
use following::Heard;
use shop::Shop;

/// Threads of a node: three of them share what is usually a small machine.
const THREADS: usize = 2;

/// Readers, which take turns on the threads.
const READERS: usize = 16;

/// How often figures are told. What a killed node has counted after the last time is lost.
const FIGURES_EVERY: Duration = Duration::from_millis(200);

/// Orders that wait while one is carried out.
const ORDERS: usize = 64;

/// Stale reads that are described; all are counted.
const DESCRIBED: u64 = 20;

/// How long a read may take to show a change that is awaited, and how often it is tried.
const AWAITED: Duration = Duration::from_secs(3);
const AWAITED_EVERY: Duration = Duration::from_millis(2);

/// What a node has.
struct Node {
    name: String,
    shop: Shop,
    runtime: TokioRuntime,
    counters: Counters,
    zipf: Zipf,
    /// What must be visible of the changes of all nodes.
    ledger: Ledger,
    /// What must be visible of its own.
    own: Ledger,
    heard: Heard,
    described: AtomicU64,
    /// A product whose change is to be committed and left there.
    hold: Mutex<Option<u32>>,
}

/// What runs behind the orders.
struct Work {
    reading: watch::Sender<bool>,
    readers: Vec<JoinHandle<()>>,
    writing: watch::Sender<bool>,
    writer: Option<JoinHandle<()>>,
}

/// Runs a node until its standard input ends; gives the exit code.
pub(crate) fn node() -> ExitCode {
    serve::log(&LogSettings {
        level: "info",
        format: LogFormat::Text,
    });
    let mut input = BufReader::new(stdin());
    let mut line = Vec::new();
    let start = match message::read(&mut input, &mut line) {
        Ok(Some(Order::Start(start))) => start,
        _ => {
            let line = "larder demo starts its nodes by itself – try larder demo";
            serve::complain("error", &[line.into()]);
            return ExitCode::from(serve::USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(start, input, line)),
        Err(error) => say(&News::Failed {
            why: error.to_string(),
        }),
    }
    ExitCode::SUCCESS
}

async fn run(start: Start, input: impl Read + Send + 'static, line: Vec<u8>) {
    let is_warmed = start.is_warmed;
    let node = match Node::open(start).await {
        Ok(node) => Arc::new(node),
        Err(why) => return say(&News::Failed { why }),
    };
    let (orders, mut ordered) = mpsc::channel(ORDERS);
    let listener = node.clone();
    std::thread::spawn(move || listener.listen(BufReader::new(input), line, &orders));
    if let Err(why) = node.shop.joined(&node.runtime).await {
        return say(&News::Failed { why });
    }
    if is_warmed {
        reading::warm(&node).await;
    }
    say(&News::Ready);
    tokio::spawn(following::follow(node.clone()));
    tokio::spawn(node.clone().tell());
    let mut work = Work {
        reading: watch::channel(false).0,
        readers: Vec::new(),
        writing: watch::channel(false).0,
        writer: None,
    };
    while let Some(order) = ordered.recv().await {
        node.carry_out(order, &mut work).await;
    }
}

/// Tells the stage. Without one, there is nothing left to do.
fn say(news: &News) {
    if message::write(&mut stdout().lock(), news).is_err() {
        std::process::exit(0);
    }
}

impl Node {
    async fn open(start: Start) -> Result<Node, String> {
        let ledger = Ledger::new();
        for (product, version, due) in start.due {
            ledger.note(product, version, Mono(due));
        }
        Ok(Node {
            shop: Shop::open(&start.name, &start.file, start.bus).await?,
            name: start.name,
            runtime: TokioRuntime::current(),
            counters: Counters::default(),
            zipf: Zipf::new(),
            ledger,
            own: Ledger::new(),
            heard: Heard::new(),
            described: AtomicU64::new(0),
            hold: Mutex::new(None),
        })
    }

    /// Takes orders, on a thread of its own: what others have changed must be known in time, however
    /// busy the others are.
    fn listen(
        &self,
        mut input: BufReader<impl Read>,
        mut line: Vec<u8>,
        orders: &mpsc::Sender<Order>,
    ) {
        loop {
            let is_open = match message::read(&mut input, &mut line) {
                Ok(Some(Order::Committed(stamped))) => {
                    self.hear_of_commit(&stamped);
                    true
                }
                Ok(Some(Order::Acknowledged(stamped))) => {
                    self.note(&stamped, due_after_acknowledgement(stamped.at()));
                    true
                }
                Ok(Some(order)) => orders.blocking_send(order).is_ok(),
                // The stage is gone, or speaks of something else.
                Ok(None) | Err(_) => false,
            };
            if !is_open {
                std::process::exit(0);
            }
        }
    }

    fn hear_of_commit(&self, stamped: &Stamped) {
        let is_judged = self.note(stamped, due_after_commit(stamped.at()));
        self.counters.add(match is_judged {
            true => Count::Judged,
            false => Count::Unjudged,
        });
        self.heard.committed(stamped, &self.counters);
    }

    /// Holds reads to a change. Says whether all reads are that should be.
    fn note(&self, stamped: &Stamped, due: Mono) -> bool {
        let change = &stamped.change;
        let note = |product: &u32| self.ledger.note(*product, change.version, due);
        let noted = change.products.iter().filter(|product| note(product));
        noted.count() == change.products.len() && self.runtime.precise() < due
    }

    async fn carry_out(self: &Arc<Node>, order: Order, work: &mut Work) {
        match order {
            Order::Read if work.readers.is_empty() => {
                let _ = work.reading.send_replace(true);
                let reader = |_| {
                    let reading = self.clone().read(work.reading.subscribe());
                    tokio::spawn(reading)
                };
                work.readers = (0..READERS).map(reader).collect();
            }
            Order::Write if work.writer.is_none() => {
                let _ = work.writing.send_replace(true);
                let writing = self.clone().write(work.writing.subscribe());
                work.writer = Some(tokio::spawn(writing));
            }
            Order::Hold { product } => *self.hold.lock() = Some(product),
            Order::Await { product, version } => {
                tokio::spawn(self.clone().await_version(product, version));
            }
            Order::StopWriting => {
                let _ = work.writing.send_replace(false);
                if let Some(writer) = work.writer.take() {
                    let _ = writer.await;
                }
                say(&News::StoppedWriting);
            }
            Order::StopReading => {
                let _ = work.reading.send_replace(false);
                for reader in work.readers.drain(..) {
                    let _ = reader.await;
                }
                say(&News::Figures(Box::new(self.figures())));
                say(&News::StoppedReading);
            }
            Order::Copies => copies::tell(&self.shop).await,
            Order::Start(_)
            | Order::Read
            | Order::Write
            | Order::Committed(_)
            | Order::Acknowledged(_) => {}
        }
    }

    /// Tells the figures again and again.
    async fn tell(self: Arc<Node>) {
        let mut ticks = tokio::time::interval(FIGURES_EVERY);
        loop {
            ticks.tick().await;
            say(&News::Figures(Box::new(self.figures())));
        }
    }

    fn figures(&self) -> Figures {
        let size = self.shop.count(&self.counters);
        self.counters.figures().holding(size)
    }

    /// Says when a read shows a version.
    async fn await_version(self: Arc<Node>, product: u32, version: Version) {
        let begun = self.runtime.precise();
        loop {
            let row = self.shop.product(product).await;
            let took = self.runtime.precise().since(begun);
            let is_shown = row.is_ok_and(|row| row.version >= version);
            if is_shown || took > AWAITED {
                let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                let us = is_shown.then_some(us);
                return say(&News::Awaited { version, us });
            }
            tokio::time::sleep(AWAITED_EVERY).await;
        }
    }

    /// Counts a stale read, and describes the first few.
    fn stale(&self, count: Count, what: impl FnOnce() -> String) {
        self.counters.add(Count::Stale);
        if count != Count::Stale {
            self.counters.add(count);
        }
        if self.described.fetch_add(1, Ordering::Relaxed) < DESCRIBED {
            let what = format!("{}: {}", self.name, what());
            tracing::warn!("stale read: {what}");
            say(&News::Stale { what });
        }
    }
}
