//! A server that is killed under full load and comes back empty: what the source, the readers and the
//! server have to bear.
//!
//! The load is that of this program in several processes (`outage/reader.rs`), each with so many reads
//! a second of keys that are asked for unevenly, whether answers come or not. It is warm, then steady,
//! then the server is killed; later it is started again, without its data. The run fails if one of
//! the promises of `outage/claims.rs` does not hold.

mod claims;
mod course;
pub(crate) mod reader;

use std::process::ExitCode;
use std::time::Duration;

use larder_testkit::servers::{RedisOptions, RedisServer};
use redis::aio::MultiplexedConnection;

use crate::crew::{self, Member, wait_until};
use crate::measure::{instant, runtime};
use course::{Course, Tick};

const USAGE: &str = "usage: larder-bench outage [--seconds N] [--processes N] [--reads N] [--keys N] [--ttl N] [--when-fenced POLICY]

  --seconds N           how long the server is away (60)
  --processes N         that read (2)
  --reads N             a second, of all processes together (10000)
  --keys N              that are read (2000)
  --ttl N               of the values, in seconds (10)
  --when-fenced POLICY  what near copies are good for meanwhile (spare-source, serve-stale, bypass)";

/// What is asked of a run.
pub(super) struct Plan {
    pub(super) away: Duration,
    pub(super) processes: u64,
    pub(super) reads: u64,
    pub(super) keys: u64,
    pub(super) ttl: Duration,
    pub(super) when_fenced: String,
}

impl Plan {
    fn parse(mut arguments: Vec<&str>) -> Result<Plan, String> {
        let given = &mut arguments;
        let plan = Plan {
            away: Duration::from_secs(crew::number(given, "--seconds", 60)?),
            processes: crew::number(given, "--processes", 2)?,
            reads: crew::number(given, "--reads", 10_000)?,
            keys: crew::number(given, "--keys", 2_000)?,
            ttl: Duration::from_secs(crew::number(given, "--ttl", 10)?),
            when_fenced: crew::option(given, "--when-fenced")?
                .unwrap_or("spare-source")
                .to_owned(),
        };
        reader::policy(&plan.when_fenced)?;
        match arguments.first() {
            Some(argument) => Err(format!("{argument:?} is not known")),
            None => Ok(plan),
        }
    }
}

pub(crate) fn run(arguments: &[&str]) -> ExitCode {
    let plan = match Plan::parse(arguments.to_vec()) {
        Ok(plan) => plan,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return ExitCode::SUCCESS;
    };
    println!(
        "{} reads a second of {} keys in {} processes, ttl {:?}, away for {:?}, when fenced: {}",
        plan.reads, plan.keys, plan.processes, plan.ttl, plan.away, plan.when_fenced
    );
    let course = runtime().block_on(async { tokio::spawn(measure(plan, server)).await });
    if claims::hold(&course.expect("nothing goes wrong")) {
        return ExitCode::SUCCESS;
    }
    eprintln!("a promise does not hold");
    ExitCode::FAILURE
}

async fn measure(plan: Plan, mut server: RedisServer) -> Course {
    let url = server.url();
    let members = start(&plan, &url).await;
    let after = (plan.ttl * 2).max(Duration::from_secs(10));
    // The first values end together; after one more life they no longer do.
    pass(plan.ttl * 3).await;
    let (steady, before) = (instant(), commands(&url).await);
    pass(plan.ttl * 2).await;
    let (killed, last) = (instant(), commands(&url).await);
    server.kill();
    pass(plan.away).await;
    server.restart();
    let returned = instant();
    // The count of the new server begins at 0.
    let mut commands_after = vec![(returned, 0)];
    while instant() < returned + after.as_nanos() as i64 {
        pass(Duration::from_secs(1)).await;
        commands_after.push((instant(), commands(&url).await));
    }
    let mut ticks: Vec<Vec<Tick>> = Vec::new();
    for member in members {
        ticks.push(member.await.expect("the process tells until the end"));
    }
    Course {
        steady,
        killed,
        returned,
        ended: instant(),
        ticks,
        commands_steady: last - before,
        commands_after,
    }
}

async fn pass(time: Duration) {
    wait_until(instant() + time.as_nanos() as i64).await;
}

/// Starts the processes; each gives what it has told once its time is over.
async fn start(plan: &Plan, url: &str) -> Vec<tokio::task::JoinHandle<Vec<Tick>>> {
    let after = (plan.ttl * 2).max(Duration::from_secs(10));
    let all = plan.ttl * 5 + plan.away + after;
    let reads = (plan.reads / plan.processes).to_string();
    let (keys, ttl) = (plan.keys.to_string(), plan.ttl.as_millis().to_string());
    let arguments = ["outage-reader", url, &reads, &keys, &ttl, &plan.when_fenced];
    let mut members = Vec::new();
    for _ in 0..plan.processes {
        let mut member = Member::start(&arguments).await;
        let end = instant() + all.as_nanos() as i64;
        members.push(tokio::spawn(async move {
            let mut ticks: Vec<Tick> = Vec::new();
            while ticks.last().is_none_or(|tick| tick.at < end) {
                let line = member.hear().await;
                ticks.push(Tick::parse(&line).expect("it says what it has done"));
            }
            ticks
        }));
    }
    members
}

/// Commands that clients have sent to this server since it was started. Those that a script calls
/// are counted by the server as well; where clients send the same ones, both are in it, so that
/// this is rather too much.
async fn commands(url: &str) -> u64 {
    const SENT: [&str; 11] = [
        "auth",
        "client",
        "eval",
        "evalsha",
        "get",
        "hello",
        "mget",
        "ping",
        "publish",
        "script",
        "subscribe",
    ];
    let client = redis::Client::open(url).expect("the address is sound");
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection: MultiplexedConnection = connection.expect("the server is there");
    let mut info = redis::cmd("INFO");
    info.arg("commandstats");
    let text: String = info.query_async(&mut connection).await.expect("it answers");
    let counted = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let name = name.split('|').next()?;
        let calls: u64 = rest.split(',').next()?.parse().ok()?;
        SENT.contains(&name).then_some(calls)
    });
    counted.sum()
}
