//! A node as a process that the stage has started: its orders go to its standard input, its news
//! come from its standard output, and what it logs lands in a file.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::message::{self, LONGEST, News, Order};

/// Orders that wait for a node to read them: some ten seconds of what others change.
const ORDERS: usize = 4_096;

/// How long a node may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// Which life of which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) node: usize,
    pub(super) number: u32,
}

/// What comes from a process.
#[derive(Debug)]
pub(super) enum Said {
    News(News),
    /// It has ended, or says what cannot be understood.
    Ended(String),
}

/// A process, killed when it is dropped.
pub(super) struct Process {
    child: Child,
    orders: mpsc::Sender<Vec<u8>>,
}

impl Process {
    /// Starts this program once more. What it says is sent to `heard`.
    pub(super) fn start(
        life: Life,
        log: &Path,
        heard: &mpsc::Sender<(Life, Said)>,
    ) -> std::io::Result<Process> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(crate::cli::DEMO_NODE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Interrupting the terminal is for the stage, which then ends its nodes.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || std::io::Error::other("a process has no pipes");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (orders, ordered) = mpsc::channel(ORDERS);
        tokio::spawn(pass_on(ordered, input.ok_or_else(missing)?));
        tokio::spawn(listen(life, output.ok_or_else(missing)?, heard.clone()));
        Ok(Process { child, orders })
    }

    /// Gives an order, or says that the node does not take any.
    pub(super) fn order(&self, order: &Order) -> Result<(), String> {
        let line = message::line(order).map_err(|error| error.to_string())?;
        self.orders
            .try_send(line)
            .map_err(|_| "it does not take its orders".into())
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    pub(super) async fn kill(mut self) {
        // Fails only if it has ended already, which is what is wanted.
        let _ = self.child.kill().await;
    }

    /// Lets the process end by itself, for a while.
    pub(super) async fn end(self) {
        let Process { mut child, orders } = self;
        drop(orders);
        if timeout(GRACE, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

async fn pass_on(mut orders: mpsc::Receiver<Vec<u8>>, mut input: ChildStdin) {
    while let Some(line) = orders.recv().await {
        if input.write_all(&line).await.is_err() {
            return;
        }
    }
}

async fn listen(life: Life, output: ChildStdout, heard: mpsc::Sender<(Life, Said)>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        let said = match next(&mut output, &mut line).await {
            Ok(Some(news)) => Said::News(news),
            Ok(None) => Said::Ended("it has ended".into()),
            Err(error) => Said::Ended(format!("it is not understood: {error}")),
        };
        let is_over = matches!(said, Said::Ended(_));
        if heard.send((life, said)).await.is_err() || is_over {
            return;
        }
    }
}

async fn next(
    output: &mut BufReader<ChildStdout>,
    line: &mut Vec<u8>,
) -> std::io::Result<Option<News>> {
    line.clear();
    let mut limited = output.take(LONGEST as u64);
    let _ = limited.read_until(b'\n', line).await?;
    message::read(&mut &line[..], &mut Vec::new())
}
