//! `larder serve`: from a configuration to a running node, and from a signal to its end.

mod listen;
mod logging;
mod open_files;
mod stop;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder_core::units::show_duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::cli::ServeArgs;
use crate::config::{self, Loaded, Sources};
use crate::node::{Node, SharedNode};
use crate::settings::Settings;
use crate::{banner, command, http, listener};
use listen::Ports;
#[cfg(feature = "sqlite")]
pub(crate) use logging::start as log;
use stop::Ended;
pub(crate) use stop::Signals;

/// A mistake in the arguments, the configuration, or the surroundings: nothing was started.
pub(crate) const USAGE: u8 = 2;

/// Something failed that should not have.
const FAILED: u8 = 1;

/// How often the count of commands is noted, for the rate that `INFO` shows.
const TICK: Duration = Duration::from_millis(250);

/// How long requests on the HTTP port may take to finish at the end.
const HTTP_GRACE: Duration = Duration::from_secs(1);

/// Serves until a signal comes; gives the exit code.
pub(crate) fn serve(args: ServeArgs) -> ExitCode {
    let check = args.check;
    let loaded = match configure(args) {
        Ok(loaded) => loaded,
        Err(errors) => {
            complain("error", &errors);
            return ExitCode::from(USAGE);
        }
    };
    complain("warning", &loaded.warnings);
    if check {
        print!("{}", loaded.effective);
        return ExitCode::SUCCESS;
    }
    let settings = loaded.settings;
    logging::start(&settings.log);
    open_files::raise(settings.resp.max_clients);
    match runtime() {
        Ok(runtime) => runtime.block_on(run(settings)),
        Err(error) => {
            complain(
                "error",
                &[format!("the threads cannot be started – {error}")],
            );
            ExitCode::from(FAILED)
        }
    }
}

/// Puts the configuration together, and says what is odd about it if it is wrong.
pub(crate) fn configure(args: ServeArgs) -> Result<Loaded, Vec<String>> {
    let sources = Sources {
        file: config::read_file(args.config).map_err(|error| vec![error])?,
        environment: env::vars_os().collect(),
        flags: args.flags,
    };
    config::load(&sources).map_err(|problems| {
        complain("warning", &problems.warnings);
        problems.errors
    })
}

/// Says something to people, before there is a log.
pub(crate) fn complain(kind: &str, lines: &[String]) {
    for line in lines {
        eprintln!("{kind}: {line}");
    }
}

/// The threads that serve.
///
/// With one or two processors, one worker: the other processor belongs to the kernel's network
/// and to the clients, and a lone worker never hands a connection to another one, which would
/// cost a wake-up and a cold cache for a command of a microsecond.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if processors <= 2 { 1 } else { processors };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("larder")
        .enable_all()
        .build()
}

async fn run(mut settings: Settings) -> ExitCode {
    let ports = match Ports::bind(&settings).await {
        Ok(ports) => ports,
        Err(error) => {
            complain("error", &[error]);
            return ExitCode::from(USAGE);
        }
    };
    // Port 0 lets the system choose; from here on everybody is told what it chose.
    settings.resp.addr = ports.resp_addr;
    settings.http_addr = ports.http_addr;
    let (stop, stopping) = watch::channel(false);
    let runtime = Arc::new(TokioRuntime::current());
    let signals = Signals::listen();
    let node = Node::new(settings, command::NAMES, runtime, stopping).await;
    match (node, signals) {
        (Ok(node), Ok(signals)) => until_signal(Arc::new(node), ports, stop, signals).await,
        (Err(error), _) => {
            complain("error", &[format!("the store cannot be opened – {error}")]);
            ExitCode::from(USAGE)
        }
        (_, Err(error)) => {
            complain("error", &[format!("signals cannot be received – {error}")]);
            ExitCode::from(FAILED)
        }
    }
}

async fn until_signal(
    node: SharedNode,
    ports: Ports,
    stop: watch::Sender<bool>,
    mut signals: Signals,
) -> ExitCode {
    announce(&node);
    let (close_http, http_closing) = watch::channel(false);
    let mut http = tokio::spawn(http::run(node.clone(), ports.http, http_closing));
    let mut resp = tokio::spawn(listener::run(node.clone(), ports.resp));
    let ticker = tokio::spawn(tick(node.clone()));

    signals.next().await;
    let grace = node.settings.shutdown_grace;
    let line = format!(
        "stopping; {} connections have {} to finish; a second signal stops at once",
        node.metrics.connections(),
        show_duration(grace)
    );
    logging::say(&node.settings.log, &line);
    // From here on /readyz says no. Nobody has asked for the receiver's end, so this cannot fail.
    let _ = stop.send(true);
    let ended = stop::wait(&mut resp, grace, &mut signals).await;
    let _ = close_http.send(true);
    if ended != Ended::AtOnce {
        let _ = timeout(HTTP_GRACE, &mut http).await;
    }
    // The others need not wait until this node is silent.
    if let (Some(mesh), true) = (&node.mesh, ended != Ended::AtOnce) {
        mesh.shutdown().await;
    }
    abort([http, resp, ticker]);
    logging::say(&node.settings.log, &stop::summary(&node, ended));
    match ended {
        Ended::AtOnce => ExitCode::from(FAILED),
        Ended::Drained | Ended::OutOfTime => ExitCode::SUCCESS,
    }
}

fn announce(node: &Node) {
    let (resp, http) = (node.settings.resp.addr, node.settings.http_addr);
    let store = node.cache.describe();
    if logging::is_for_programs(&node.settings.log) {
        tracing::info!(%resp, %http, store, version = env!("CARGO_PKG_VERSION"), "listening");
    } else {
        eprintln!(
            "{}",
            banner::banner(&node.settings, store, node.mesh.as_ref())
        );
    }
}

async fn tick(node: SharedNode) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        node.metrics.tick();
    }
}

fn abort(tasks: [JoinHandle<()>; 3]) {
    for task in tasks {
        task.abort();
    }
}
