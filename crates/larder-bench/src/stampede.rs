//! A thousand readers of one key that has ended, in several processes over one real server: how often
//! it is loaded, and how long the readers wait.
//!
//! The readers are this program again (`stampede/reader.rs`). All begin at one instant of the clock
//! that they share; the loader takes 300 ms. The key's life ends before the next round, so that
//! nobody has a value of it, not even a stale one. In a second part each round has a key that nobody
//! has ever asked for.
//!
//! The run fails if a key was loaded more than once in a round, or if readers got different values.

pub(crate) mod reader;

use std::process::ExitCode;
use std::time::Duration;

use larder_testkit::servers::{RedisOptions, RedisServer};

use crate::crew::{self, Member};
use crate::measure::{instant, runtime};

/// How long a load takes.
const LOAD: Duration = Duration::from_millis(300);
/// From the order to begin to the beginning: all processes have their readers ready by then.
const HEAD_START: i64 = 200_000_000;

const USAGE: &str =
    "usage: larder-bench stampede [--processes N] [--readers N] [--rounds N] [--ttl N] [--alone]

  --processes N  for a key that has ended (4); a cold key is asked for by 10, or by this many
  --readers N    in all processes together, of a key that has ended (2000)
  --rounds N     ends of the key (20), and a quarter as many cold keys
  --ttl N        of the value, in seconds (1)
  --alone        without a server between the processes: the control, which fails";

/// What is asked of a run.
struct Plan {
    processes: u64,
    cold_processes: u64,
    readers: u64,
    cold_readers: u64,
    rounds: u64,
    ttl: Duration,
    is_alone: bool,
}

impl Plan {
    fn parse(mut arguments: Vec<&str>) -> Result<Plan, String> {
        let processes = crew::number(&mut arguments, "--processes", 0);
        let readers = crew::number(&mut arguments, "--readers", 0);
        let (processes, readers) = (processes?, readers?);
        let rounds = crew::number(&mut arguments, "--rounds", 20)?;
        let ttl = crew::number(&mut arguments, "--ttl", 1)?;
        let is_alone = crew::flag(&mut arguments, "--alone");
        let or = |given: u64, default: u64| if given == 0 { default } else { given };
        let plan = Plan {
            processes: or(processes, 4),
            cold_processes: or(processes, 10),
            readers: or(readers, 2_000),
            cold_readers: or(readers, 10_000),
            rounds,
            ttl: Duration::from_secs(ttl),
            is_alone,
        };
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
    // Dropped at the end, which stops it.
    let mut server = None;
    let place = if plan.is_alone {
        reader::ALONE.to_owned()
    } else {
        let Some(started) = RedisServer::start_or_skip(RedisOptions::new()) else {
            return ExitCode::SUCCESS;
        };
        server.insert(started).url()
    };
    let holds = runtime().block_on(async { tokio::spawn(measure(plan, place)).await });
    if holds.expect("nothing goes wrong") {
        return ExitCode::SUCCESS;
    }
    eprintln!("a key was loaded more than once, or its readers got different values");
    ExitCode::FAILURE
}

async fn measure(plan: Plan, place: String) -> bool {
    println!(
        "a load takes {LOAD:?}; milliseconds from the beginning of a round to a reader's answer,"
    );
    println!("and from the end of the load to the answer of a reader in another process");
    println!(
        "| key | processes | readers | rounds | loads | p50 | p99 | largest | after the load: p50 | p99 | largest |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let ended = {
        let mut crew = start(plan.processes, &place, plan.ttl).await;
        let mut seen = Seen::default();
        // The value that ends first is nobody's storm.
        round(&mut crew, 0, plan.readers).await;
        for _ in 0..plan.rounds {
            crew::wait_until(instant() + (plan.ttl + plan.ttl / 10).as_nanos() as i64).await;
            seen.add(round(&mut crew, 0, plan.readers).await);
        }
        seen.print("ended", plan.processes, plan.readers)
    };
    let mut crew = start(plan.cold_processes, &place, plan.ttl).await;
    let mut seen = Seen::default();
    for key in 1..=plan.rounds.div_ceil(4) {
        seen.add(round(&mut crew, key, plan.cold_readers).await);
    }
    seen.print("cold", plan.cold_processes, plan.cold_readers) && ended
}

async fn start(processes: u64, place: &str, ttl: Duration) -> Vec<Member> {
    let ttl = ttl.as_secs().to_string();
    let mut crew = Vec::new();
    for _ in 0..processes {
        crew.push(Member::start(&["stampede-reader", place, &ttl]).await);
    }
    crew
}

/// What one process says of one round; times are in nanoseconds.
struct Said {
    loads: u64,
    /// When its load ended; 0 if it had none.
    loaded_at: i64,
    /// The value that all of its readers got; `None` if they got different ones.
    value: Option<u64>,
    answered: Vec<i64>,
}

impl Said {
    fn parse(line: &str) -> Option<Said> {
        let mut words = line.split(' ');
        let loads = words.next()?.parse().ok()?;
        let loaded_at = words.next()?.parse().ok()?;
        let value = words.next()?.parse().ok();
        let answered = words.map(|word| word.parse().ok());
        Some(Said {
            loads,
            loaded_at,
            value,
            answered: answered.collect::<Option<_>>()?,
        })
    }
}

struct Round {
    begun: i64,
    said: Vec<Said>,
}

async fn round(crew: &mut [Member], key: u64, readers: u64) -> Round {
    let each = readers.div_ceil(crew.len() as u64);
    let begun = instant() + HEAD_START;
    for member in crew.iter_mut() {
        member.tell(&format!("{key} {each} {begun}")).await;
    }
    let mut said = Vec::new();
    for member in crew {
        let line = member.hear().await;
        said.push(Said::parse(&line).expect("it says what it has seen"));
    }
    Round { begun, said }
}

/// What all rounds come to.
#[derive(Default)]
struct Seen {
    rounds: u64,
    /// Most loads in one round, and all.
    most_loads: u64,
    loads: u64,
    differed: u64,
    from_begin: Vec<f64>,
    after_load: Vec<f64>,
}

impl Seen {
    fn add(&mut self, round: Round) {
        self.rounds += 1;
        let loads = round.said.iter().map(|said| said.loads).sum();
        self.loads += loads;
        self.most_loads = self.most_loads.max(loads);
        let value = round.said[0].value;
        let is_one = value.is_some() && round.said.iter().all(|said| said.value == value);
        self.differed += u64::from(!is_one);
        let loaded = round.said.iter().map(|said| said.loaded_at).max();
        let loaded = loaded.unwrap_or(0);
        for said in &round.said {
            for answered in &said.answered {
                self.from_begin.push(millis(round.begun, *answered));
                if said.loads == 0 && loaded > 0 {
                    self.after_load.push(millis(loaded, *answered));
                }
            }
        }
    }

    /// Prints the row; tells whether what is claimed holds.
    fn print(mut self, key: &str, processes: u64, readers: u64) -> bool {
        let loads = if self.most_loads > 1 {
            format!("{} (up to {} in a round)", self.loads, self.most_loads)
        } else {
            self.loads.to_string()
        };
        println!(
            "| {key} | {processes} | {readers} | {} | {loads} | {} | {} |",
            self.rounds,
            quantiles(&mut self.from_begin),
            quantiles(&mut self.after_load),
        );
        self.most_loads <= 1 && self.differed == 0
    }
}

fn millis(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1e6
}

fn quantiles(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let Some(last) = times.len().checked_sub(1) else {
        return "– | – | –".to_owned();
    };
    let at = |part: usize| times[(times.len() * part / 100).min(last)];
    format!("{:.1} | {:.1} | {:.1}", at(50), at(99), at(100))
}
