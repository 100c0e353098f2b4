//! What the stage has heard: figures of all lives of all nodes, what is due, what was seen.

use std::collections::BTreeMap;
use std::time::Duration;

use larder_core::Mono;

use super::catalogue::Version;
use super::figures::Figures;
use super::ledger::{due_after_acknowledgement, due_after_commit};
use super::message::{Copies, News, Order, Stamped};

/// Descriptions of stale reads that are kept.
const DESCRIBED: usize = 20;

/// How a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Starting,
    Reads,
    Writes,
    Killed,
}

/// What is known of one node.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) is_ready: bool,
    /// What its former lives have counted.
    past: Figures,
    /// What this one has counted so far.
    pub(super) present: Figures,
    /// All of that a second ago.
    shown: Figures,
    pub(super) held: Option<Stamped>,
    pub(super) awaited: Option<(Version, Option<Duration>)>,
    pub(super) has_stopped_writing: bool,
    pub(super) has_stopped_reading: bool,
    pub(super) copies: Vec<Copies>,
    pub(super) has_told_copies: bool,
}

/// A writer that was killed between its commit and its invalidation.
#[derive(Clone, Debug)]
pub(super) struct Kill {
    pub(super) node: String,
    pub(super) product: u32,
    pub(super) version: Version,
    /// When each of the others has shown the change; `None` if it has not in time.
    pub(super) shown: Vec<(String, Option<Duration>)>,
    /// How long after the kill the node was ready again.
    pub(super) back: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Board {
    pub(super) seats: Vec<Seat>,
    pub(super) kills: Vec<Kill>,
    pub(super) stale: Vec<String>,
    /// What happened since the last second was shown.
    pub(super) happened: Vec<String>,
    /// For each product, the newest version and when it is due.
    due: BTreeMap<u32, (Version, Mono)>,
}

/// What is shown of a node each second.
pub(super) struct NodeSecond {
    pub(super) name: String,
    pub(super) state: State,
    /// Of this second.
    pub(super) now: Figures,
    /// Since the start, over all of its lives.
    pub(super) all: Figures,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Reads => "reads",
            State::Writes => "writes",
            State::Killed => "killed",
        }
    }
}

impl Seat {
    /// What all of its lives have counted.
    pub(super) fn all(&self) -> Figures {
        let mut all = self.past.clone();
        all.add(&self.present);
        all
    }

    /// A life is over.
    pub(super) fn ends(&mut self) {
        let counted = std::mem::take(&mut self.present).holding((0, 0));
        self.past.add(&counted);
        self.state = State::Killed;
        self.is_ready = false;
        self.held = None;
    }
}

impl Board {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Board {
        let seat = |name| Seat {
            name,
            ..Seat::default()
        };
        Board {
            seats: names.into_iter().map(seat).collect(),
            ..Board::default()
        }
    }

    /// Notes the news of a node. Gives what the others must be told; the error is why the demo
    /// cannot go on.
    pub(super) fn note(&mut self, node: usize, news: News) -> Result<Option<Order>, String> {
        let seat = &mut self.seats[node];
        match news {
            News::Ready => seat.is_ready = true,
            News::Failed { why } => return Err(format!("{}: {why}", seat.name)),
            News::Committed(stamped) => return Ok(Some(self.commits(stamped))),
            News::Held(stamped) => {
                seat.held = Some(stamped.clone());
                return Ok(Some(self.commits(stamped)));
            }
            News::Acknowledged(stamped) => {
                self.is_due(&stamped, due_after_acknowledgement(stamped.at()));
                return Ok(Some(Order::Acknowledged(stamped)));
            }
            News::Figures(figures) => seat.present = *figures,
            News::Stale { what } => {
                if self.stale.len() < DESCRIBED {
                    self.stale.push(what);
                }
            }
            News::Awaited { version, us } => {
                seat.awaited = Some((version, us.map(Duration::from_micros)));
            }
            News::StoppedWriting => seat.has_stopped_writing = true,
            News::StoppedReading => seat.has_stopped_reading = true,
            News::Copies(copies) => seat.copies.push(copies),
            News::CopiesEnd => seat.has_told_copies = true,
        }
        Ok(None)
    }

    fn commits(&mut self, stamped: Stamped) -> Order {
        self.is_due(&stamped, due_after_commit(stamped.at()));
        Order::Committed(stamped)
    }

    fn is_due(&mut self, stamped: &Stamped, due: Mono) {
        let version = stamped.change.version;
        for product in &stamped.change.products {
            let newest = self.due.entry(*product).or_insert((version, due));
            if newest.0 < version {
                *newest = (version, due);
            } else if newest.0 == version {
                newest.1 = newest.1.min(due);
            }
        }
    }

    /// What a node must know that starts now.
    pub(super) fn due(&self) -> Vec<(u32, Version, u64)> {
        let due = self.due.iter();
        due.map(|(product, (version, due))| (*product, *version, due.0))
            .collect()
    }

    /// Something that people want to know.
    pub(super) fn happens(&mut self, what: String) {
        self.happened.push(what);
    }

    /// A second is over.
    pub(super) fn second(&mut self) -> Vec<NodeSecond> {
        let seats = self.seats.iter_mut();
        let second = |seat: &mut Seat| {
            let all = seat.all();
            let now = all.since(&seat.shown);
            seat.shown = all.clone();
            NodeSecond {
                name: seat.name.clone(),
                state: seat.state,
                now,
                all,
            }
        };
        seats.map(second).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::catalogue::Change;
    use crate::demo::figures::{Count, Counters};

    fn stamped(version: Version, at: u64) -> Stamped {
        let change = Change {
            version,
            products: vec![7],
            category: None,
        };
        Stamped { change, at }
    }

    #[test]
    fn what_is_committed_is_passed_on_and_due_earlier_once_it_is_acknowledged() {
        let mut board = Board::new(["a".into(), "b".into()]);
        let order = board.note(0, News::Committed(stamped(3, 0))).unwrap();
        assert!(matches!(order, Some(Order::Committed(_))));
        assert_eq!(board.due(), [(7, 3, 2_000_000_000)]);
        let order = board.note(0, News::Acknowledged(stamped(3, 5))).unwrap();
        assert!(matches!(order, Some(Order::Acknowledged(_))));
        assert_eq!(board.due(), [(7, 3, 1_000_000_005)]);
        let order = board.note(1, News::Held(stamped(4, 9))).unwrap();
        assert!(matches!(order, Some(Order::Committed(_))));
        assert_eq!(board.due(), [(7, 4, 2_000_000_009)]);
        let _ = board.note(0, News::Acknowledged(stamped(3, 6))).unwrap();
        assert_eq!(board.due(), [(7, 4, 2_000_000_009)]);
        assert!(board.seats[1].held.is_some() && board.seats[0].held.is_none());
    }

    #[test]
    fn figures_of_a_life_that_is_over_are_kept_but_for_what_it_held() {
        let mut board = Board::new(["a".into()]);
        let counters = Counters::default();
        counters.add(Count::Reads);
        let figures = counters.figures().holding((3, 0));
        let news = || News::Figures(Box::new(figures.clone()));
        let _ = board.note(0, news()).unwrap();
        assert_eq!(board.second()[0].now.get(Count::Reads), 1);
        board.seats[0].ends();
        let _ = board.note(0, news()).unwrap();
        let second = &board.second()[0];
        assert_eq!(second.now.get(Count::Reads), 1);
        assert_eq!((second.all.get(Count::Reads), second.all.entries), (2, 3));
    }

    #[test]
    fn a_node_that_fails_is_named() {
        let mut board = Board::new(["a".into()]);
        let why = "no".to_owned();
        let error = board.note(0, News::Failed { why }).unwrap_err();
        assert_eq!(error, "a: no");
    }
}
