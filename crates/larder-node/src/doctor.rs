//! `larder doctor`: looks at the configured server and says what would go wrong with it, why, and
//! what to do.
//!
//! It changes nothing on the server and tells its other clients nothing. What it was not allowed to
//! look at is said, too. Each look is a file of its own, made of a question and a pure judgement
//! of the answers.

mod address;
mod clock;
mod durability;
mod facts;
mod findings;
mod latency;
mod limits;
mod memory;
mod replication;
mod report;
mod rights;
mod version;

use std::process::ExitCode;
use std::sync::Arc;

use larder::TokioRuntime;
use larder::redis::Redis;
use larder_core::{Error, ErrorKind, Runtime};
use secrecy::ExposeSecret;

use crate::cli::DoctorArgs;
use crate::serve;
use crate::settings::{Settings, StoreSettings};
use facts::Facts;
use findings::{Findings, Verdict};

/// A problem was found.
const PROBLEM: u8 = 1;
/// The server could not be reached.
const UNREACHABLE: u8 = 5;

/// Looks, prints, and gives the exit code.
pub(crate) fn doctor(args: DoctorArgs) -> ExitCode {
    let loaded = match serve::configure(args.serve) {
        Ok(loaded) => loaded,
        Err(errors) => {
            serve::complain("error", &errors);
            return ExitCode::from(serve::USAGE);
        }
    };
    serve::complain("warning", &loaded.warnings);
    let (redis, processes_need) = match server(&loaded.settings) {
        Ok(server) => server,
        Err(line) => {
            serve::complain("error", &[line]);
            return ExitCode::from(serve::USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            serve::complain("error", &[format!("no timers are to be had – {error}")]);
            return ExitCode::from(PROBLEM);
        }
    };
    let findings = runtime.block_on(look(&redis, processes_need));
    let name = redis.to_string();
    if args.json {
        println!("{}", report::json(&name, &findings));
    } else {
        print!("{}", report::text(&name, &findings));
    }
    ExitCode::from(match findings.verdict() {
        Verdict::Fine => 0,
        Verdict::Problem => PROBLEM,
        Verdict::Unreachable => UNREACHABLE,
    })
}

/// The configured server, and how many connections one process may open to it.
fn server(settings: &Settings) -> Result<(Redis, usize), String> {
    let StoreSettings::Redis { url, pool_max, .. } = &settings.store else {
        return Err(
            "values are kept in this process: there is no server to look at – set \
                    CACHE_URL or --url, for example --url redis://cache:6379/0"
                .into(),
        );
    };
    let redis = Redis::open(url.expose_secret()).map_err(|error| error.to_string())?;
    // One for commands, one for the bus, and those for slow commands.
    Ok((redis, pool_max + 2))
}

async fn look(redis: &Redis, connections: usize) -> Findings {
    let mut findings = Findings::default();
    if !address::check(redis, &mut findings).await {
        return findings;
    }
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::current());
    let inspector = match redis.inspect(runtime.clone()).await {
        Ok(inspector) => inspector,
        Err(error) => {
            address::opening(redis, &error, &mut findings);
            return findings;
        }
    };
    let looked: Result<(), Error> = async {
        if !address::greet(redis, &inspector, &mut findings).await? {
            return Ok(());
        }
        let facts = Facts::ask(&inspector).await?;
        let span = clock::begin(&inspector, &*runtime).await?;
        version::check(&facts, &mut findings);
        replication::check(&facts, &mut findings);
        durability::check(&facts, &mut findings);
        memory::check(&facts, &mut findings);
        limits::check(&facts, connections, &mut findings);
        rights::check(&inspector, &mut findings).await?;
        latency::check(&inspector, &mut findings).await?;
        clock::end(span, &inspector, &*runtime, &mut findings).await
    }
    .await;
    if let Err(error) = looked {
        let said = without_server(redis, &error);
        findings.interrupted(said, error.kind() == ErrorKind::Timeout);
    }
    findings
}

/// What an error says, without the server, which stands above all findings.
fn without_server<'a>(redis: &Redis, error: &'a Error) -> &'a str {
    let said = error.message();
    let server = format!("{redis}: ");
    said.strip_prefix(&server).unwrap_or(said)
}
