//! `larder bus ping`: writes a probe into the log of the configured server, asks all who read it to
//! say how far they are, and shows who has applied it, and how fast.

mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder::redis::Redis;
use larder_core::bus::{Bus, Hearing};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::{Gap, Position};
use larder_core::runtime::{Mono, Runtime, Timestamp};
use larder_core::store::{Batch, Committed, Store};
use secrecy::ExposeSecret;

use crate::cli::PingArgs;
use crate::serve::{self, USAGE};
use crate::settings::StoreSettings;
use report::{Report, Row, State};

/// Some readers have not applied the probe.
const PARTIAL: u8 = 3;
/// The server does not let us.
const REFUSED: u8 = 4;
/// The server cannot be reached.
const UNREACHABLE: u8 = 5;

/// First and longest pause before the server is asked again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Pings; gives the exit code.
pub(crate) fn ping(args: PingArgs) -> ExitCode {
    let (json, wait) = (args.json, args.wait);
    let loaded = match serve::configure(args.node) {
        Ok(loaded) => loaded,
        Err(errors) => {
            serve::complain("error", &errors);
            return ExitCode::from(USAGE);
        }
    };
    serve::complain("warning", &loaded.warnings);
    let StoreSettings::Redis { url, .. } = &loaded.settings.store else {
        let line = "type = memory has no log that others read – name a server with --url or \
                    CACHE_URL, for example larder bus ping --url redis://cache:6379";
        serve::complain("error", &[line.into()]);
        return ExitCode::from(USAGE);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let pinged = match runtime {
        Ok(runtime) => runtime.block_on(probe(url.expose_secret(), wait)),
        Err(error) => Err(Error::new(ErrorKind::Unavailable, error.to_string())),
    };
    match pinged {
        Ok(report) => {
            print!("{}", if json { report.json() } else { report.text() });
            ExitCode::from(if report.is_complete() { 0 } else { PARTIAL })
        }
        Err(error) => {
            serve::complain("error", &[format!("the log cannot be asked – {error}")]);
            ExitCode::from(match error.kind() {
                ErrorKind::Refused => REFUSED,
                _ => UNREACHABLE,
            })
        }
    }
}

async fn probe(url: &str, wait: Duration) -> Result<Report> {
    let runtime = Arc::new(TokioRuntime::current());
    let store = Redis::open(url)?.store(runtime.clone());
    // A connection first, so that what is measured is the log and not the network's greetings.
    let bus: &dyn Bus = &store;
    let first = bus.readers().await?;
    let sent = runtime.now();
    let position = write(&store).await?;
    let mut report = Report {
        server: store.describe().name.to_owned(),
        position,
        round_trip: runtime.now().since(sent),
        rows: Vec::new(),
        is_whole: true,
    };
    if let Some(position) = position {
        let written = written_at(bus, position).await.unwrap_or(first.now);
        let until = runtime.now().after(wait);
        watch(&mut report, (&*runtime, bus), (position, written), until).await?;
    }
    Ok(report)
}

/// Writes the probe; gives its place, if there is a log.
async fn write(store: &dyn Store) -> Result<Option<Position>> {
    match store.commit(Batch::probe()).await? {
        Committed::Done(outcomes) => Ok(outcomes.position),
        Committed::Refused(_) => unreachable!("a probe has no checks"),
    }
}

/// When the server wrote the probe, by its own clock.
async fn written_at(bus: &dyn Bus, position: Position) -> Option<Timestamp> {
    let gap = Gap {
        first: position.seq,
        last: position.seq,
    };
    let replay = bus.replay(gap).await.ok()?;
    replay.records.first().map(|record| record.written)
}

/// Looks until everybody has applied the probe, or says nothing any more, or the time is over.
async fn watch(
    report: &mut Report,
    (runtime, bus): (&dyn Runtime, &dyn Bus),
    (position, written): (Position, Timestamp),
    until: Mono,
) -> Result<()> {
    let mut pause = PAUSE.0;
    loop {
        // If it gets lost, the usual polls take its place.
        let _ = bus.nudge().await;
        let readers = bus.readers().await?;
        report.rows = readers
            .seen
            .iter()
            .map(|reader| {
                let silent = readers.now.since(reader.polled);
                let state = match readers.hearing(reader, Some(position)) {
                    Hearing::Applied => State::Applied(reader.polled.since(written)),
                    Hearing::Silent => State::Fenced(silent),
                    Hearing::Behind => State::Behind(
                        reader
                            .applied
                            .filter(|at| at.incarnation == position.incarnation)
                            .map(|at| position.seq - at.seq),
                    ),
                };
                Row::new(reader, state)
            })
            .collect();
        report.rows.sort();
        report.is_whole = readers.are_complete();
        let is_over = report.is_whole && !report.rows.iter().any(Row::is_open);
        let left = until.since(runtime.now());
        if is_over || left.is_zero() {
            return Ok(());
        }
        runtime.sleep(pause.min(left)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}
