//! The course of a run: who is started, what it is told and when, who is killed, and what is looked
//! at in the end.

mod ending;
mod killing;

use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder_core::{Mono, Runtime};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, interval_at};

use super::board::{Board, State};
use super::catalogue::Catalogue;
use super::home::Home;
use super::message::{Order, Start, StartBus};
use super::ports;
use super::process::{Life, Process, Said};
use super::server::Server;
use super::show::Screen;
use super::summary::Summary;
use crate::cli::{DemoArgs, DemoBus};
use crate::serve::Signals;

/// Members of the mesh: the fewest of which one can be missed.
const NODES: usize = 3;

/// News that wait for the stage.
const NEWS: usize = 1_024;

/// How long nodes may take for what they are told.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often nodes are started: somebody else may be quicker to take a port.
const STARTS: usize = 3;

/// How a run ends without a verdict.
pub(super) enum End {
    /// A mistake in the arguments or the surroundings.
    Usage(String),
    /// The server says no.
    Refused(String),
    /// The server does not answer.
    Unreachable(String),
    /// Something failed that should not have.
    Failed(String),
    Interrupted,
}

/// By what nodes hear of each other in this run.
enum Bus {
    Mesh {
        secret: String,
        members: Vec<(String, std::net::SocketAddr)>,
    },
    Redis(Box<Server>),
    Off,
}

pub(super) struct Stage {
    seconds: u64,
    home: Home,
    bus: Bus,
    catalogue: Catalogue,
    board: Board,
    screen: Screen,
    runtime: Arc<TokioRuntime>,
    processes: Vec<Option<Process>>,
    lives: Vec<u32>,
    news: mpsc::Receiver<(Life, Said)>,
    heard: mpsc::Sender<(Life, Said)>,
    ticks: Interval,
    /// Seconds that were shown.
    shown: u64,
    signals: Signals,
}

impl Stage {
    /// Plays it all; says whether everything was right.
    pub(super) async fn play(args: DemoArgs) -> Result<bool, End> {
        let mut stage = Stage::set(args).await?;
        let played = stage.course().await;
        for process in stage.processes.iter_mut().filter_map(Option::take) {
            process.end().await;
        }
        stage.catalogue.close().await;
        if let Bus::Redis(server) = &stage.bus
            && let Err(error) = server.clean().await
        {
            let line = format!("keys are left on the server – {error}");
            crate::serve::complain("warning", &[line]);
        }
        let summary = played?;
        stage.screen.summary(&summary);
        let text = || format!("{}\n", summary.json());
        let kept = stage.home.keep("summary.json", text);
        kept.map_err(|error| End::Failed(error.to_string()))?;
        Ok(summary.is_right())
    }

    /// Makes everything that nodes need.
    async fn set(args: DemoArgs) -> Result<Stage, End> {
        let runtime = Arc::new(TokioRuntime::current());
        let bus = match args.bus {
            DemoBus::Mesh => Bus::Mesh {
                secret: format!("{:016x}{:016x}", runtime.random(), runtime.random()),
                members: Vec::new(),
            },
            DemoBus::Redis(url) => Bus::Redis(Box::new(Server::find(url, runtime.clone()).await?)),
            DemoBus::Off => Bus::Off,
        };
        let failed = |error: String| End::Failed(error);
        let signals = Signals::listen().map_err(|error| failed(error.to_string()))?;
        let home = Home::open(args.keep.as_deref()).map_err(End::Usage)?;
        let catalogue = Catalogue::create(&home.database()).await;
        let catalogue = catalogue.map_err(|error| failed(format!("the catalogue – {error}")))?;
        let (heard, news) = mpsc::channel(NEWS);
        let title = format!("larder demo   {}   {} s", bus.word(), args.seconds);
        Ok(Stage {
            seconds: args.seconds,
            board: Board::new((1..=NODES).map(|number| format!("node{number}"))),
            screen: Screen::new(args.shown, title),
            processes: (0..NODES).map(|_| None).collect(),
            lives: vec![0; NODES],
            ticks: seconds_from_now(),
            shown: 0,
            home,
            bus,
            catalogue,
            runtime,
            news,
            heard,
            signals,
        })
    }

    async fn course(&mut self) -> Result<Summary, End> {
        self.start_all().await?;
        self.ticks = seconds_from_now();
        let begun = self.runtime.precise();
        for node in 0..NODES {
            self.reads(node)?;
        }
        let mut writer = 0;
        self.writes(writer)?;
        let mut end = begun.after(Duration::from_secs(self.seconds));
        for at in kills(self.seconds) {
            self.pass(begun.after(at)).await?;
            writer = self.kill(writer).await?;
            // A node that came back has something to show.
            end = end.max(self.runtime.precise().after(super::VISIBLE_WITHIN));
        }
        self.pass(end).await?;
        self.look().await
    }

    /// Starts all nodes, again if they cannot listen.
    async fn start_all(&mut self) -> Result<(), End> {
        let mut tries = 0;
        loop {
            tries += 1;
            if let Bus::Mesh { members, .. } = &mut self.bus {
                let free = ports::free(NODES, &*self.runtime).map_err(End::Failed)?;
                let names = self.board.seats.iter().map(|seat| seat.name.clone());
                *members = names.zip(free).collect();
            }
            for node in 0..NODES {
                self.start(node)?;
            }
            let all_ready = |board: &Board| board.seats.iter().all(|seat| seat.is_ready);
            match self.wait("the start of all nodes", all_ready).await {
                Err(End::Failed(_)) if tries < STARTS => {
                    for process in self.processes.iter_mut().filter_map(Option::take) {
                        process.kill().await;
                    }
                    self.lives.iter_mut().for_each(|life| *life += 1);
                }
                other => return other,
            }
        }
    }

    fn start(&mut self, node: usize) -> Result<(), End> {
        self.lives[node] += 1;
        let life = Life {
            node,
            number: self.lives[node],
        };
        let seat = &mut self.board.seats[node];
        (seat.state, seat.is_ready) = (State::Starting, false);
        let log = self.home.log(&seat.name);
        let process = Process::start(life, &log, &self.heard);
        let process = process.map_err(|error| End::Failed(error.to_string()))?;
        let start = Start {
            name: seat.name.clone(),
            file: self.home.database(),
            bus: self.bus.start(),
            // One that comes back is seen to begin with nothing.
            is_warmed: self.board.kills.is_empty(),
            due: self.board.due(),
        };
        process.order(&Order::Start(start)).map_err(End::Failed)?;
        self.processes[node] = Some(process);
        Ok(())
    }

    fn reads(&mut self, node: usize) -> Result<(), End> {
        self.board.seats[node].state = State::Reads;
        self.order(node, &Order::Read)
    }

    fn writes(&mut self, node: usize) -> Result<(), End> {
        self.board.seats[node].state = State::Writes;
        self.order(node, &Order::Write)
    }

    /// Gives an order to a node that lives.
    fn order(&self, node: usize, order: &Order) -> Result<(), End> {
        let Some(process) = &self.processes[node] else {
            return Ok(());
        };
        let failed = |why| End::Failed(format!("{}: {why}", self.board.seats[node].name));
        process.order(order).map_err(failed)
    }

    /// Lets time pass.
    async fn pass(&mut self, until: Mono) -> Result<(), End> {
        self.attend(until, |_| false).await.map(drop)
    }

    /// Waits for something that nodes have been told to do.
    async fn wait(&mut self, what: &str, is_done: impl Fn(&Board) -> bool) -> Result<(), End> {
        let until = self.runtime.precise().after(PATIENCE);
        match self.attend(until, is_done).await? {
            true => Ok(()),
            false => Err(End::Failed(format!(
                "{what} takes too long; the logs that --keep leaves say more"
            ))),
        }
    }

    /// Hears and shows what there is, until the condition holds or the time is over. Says which.
    async fn attend(&mut self, until: Mono, is_done: impl Fn(&Board) -> bool) -> Result<bool, End> {
        let left = until.since(self.runtime.precise());
        let over = tokio::time::sleep(left);
        tokio::pin!(over);
        while !is_done(&self.board) {
            tokio::select! {
                biased;
                () = self.signals.next() => return Err(End::Interrupted),
                _ = self.ticks.tick() => self.second(),
                Some((life, said)) = self.news.recv() => self.hear(life, said)?,
                () = &mut over => return Ok(false),
            }
        }
        Ok(true)
    }

    fn second(&mut self) {
        let nodes = self.board.second();
        let happened = std::mem::take(&mut self.board.happened);
        self.shown += 1;
        self.screen.second(self.shown, &nodes, &happened);
    }

    /// Notes what a node has said, and passes it on to those whom it concerns.
    fn hear(&mut self, life: Life, said: Said) -> Result<(), End> {
        if self.lives[life.node] != life.number || self.processes[life.node].is_none() {
            // Of a life that is over.
            return Ok(());
        }
        let news = match said {
            Said::News(news) => news,
            Said::Ended(why) => {
                let name = &self.board.seats[life.node].name;
                return Err(End::Failed(format!("{name}: {why}")));
            }
        };
        let passed_on = self.board.note(life.node, news).map_err(End::Failed)?;
        let Some(order) = passed_on else {
            return Ok(());
        };
        for node in (0..NODES).filter(|node| *node != life.node) {
            self.order(node, &order)?;
        }
        Ok(())
    }
}

impl Bus {
    fn word(&self) -> &'static str {
        match self {
            Bus::Mesh { .. } => "mesh",
            Bus::Redis(_) => "redis",
            Bus::Off => "bus off",
        }
    }

    fn start(&self) -> StartBus {
        match self {
            Bus::Mesh { secret, members } => StartBus::Mesh {
                secret: secret.clone(),
                members: members.clone(),
            },
            Bus::Redis(server) => StartBus::Redis {
                url: server.url.expose_secret().to_owned(),
                key_prefix: server.key_prefix.clone(),
            },
            Bus::Off => StartBus::Off,
        }
    }
}

/// When writers are killed: first after a third of the run, and so that what follows can be seen.
fn kills(seconds: u64) -> impl Iterator<Item = Duration> {
    let all = Duration::from_secs(seconds);
    let every = (all / 3).min(Duration::from_secs(20));
    let last = all.saturating_sub((all / 4).max(Duration::from_secs(2)));
    (1u32..)
        .map(move |number| every * number)
        .take_while(move |at| *at <= last)
}

fn seconds_from_now() -> Interval {
    let second = Duration::from_secs(1);
    #[allow(
        clippy::disallowed_methods,
        reason = "tokio's clock, which its timers are set by"
    )]
    interval_at(Instant::now() + second, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_killed_early_enough_to_be_seen_again() {
        let seconds = |run| -> Vec<f64> { kills(run).map(|at| at.as_secs_f64()).collect() };
        assert_eq!(seconds(3), [1.0]);
        assert_eq!(seconds(4).len(), 1);
        assert_eq!(seconds(60), [20.0, 40.0]);
        assert_eq!(seconds(20).len(), 2);
        assert_eq!(kills(3_600).count(), 135);
    }
}
