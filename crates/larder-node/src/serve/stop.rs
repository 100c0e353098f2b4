//! The end: signals, the time that clients get, and the last line.

use std::io;
use std::time::Duration;

use larder_core::units::show_duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::node::Node;

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// How the clients' connections ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All finished.
    Drained,
    /// Some had not finished when their time was over.
    OutOfTime,
    /// A second signal came.
    AtOnce,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Waits until the RESP port has drained, its time is over, or a signal comes.
pub(super) async fn wait(
    resp: &mut JoinHandle<()>,
    grace: Duration,
    signals: &mut Signals,
) -> Ended {
    tokio::select! {
        _ = resp => Ended::Drained,
        () = sleep(grace) => Ended::OutOfTime,
        () = signals.next() => Ended::AtOnce,
    }
}

/// What the node did, in a line.
pub(super) fn summary(node: &Node, ended: Ended) -> String {
    let metrics = &node.metrics;
    let how = match (ended, metrics.connections()) {
        (_, 0) => "stopped".to_owned(),
        (_, open) => format!("stopped with {open} connections cut off"),
    };
    let reads = metrics.hits() + metrics.misses();
    let ratio = match reads {
        0 => "nothing read".to_owned(),
        _ => format!(
            "{:.1} % of {reads} reads hit",
            metrics.hits() as f64 * 100.0 / reads as f64
        ),
    };
    let up = match metrics.uptime().as_secs() {
        0 => "less than a second".to_owned(),
        seconds => show_duration(Duration::from_secs(seconds)),
    };
    format!(
        "{how} after {up}; {} connections, {} commands, {ratio}",
        metrics.total_connections(),
        metrics.total_commands()
    )
}
