//! What a person can follow of a cache's link: lines for each change of its state, and counts.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::Arc;
use std::time::Duration;

use larder::{EventCause, InsertOptions};
use larder_testkit::sim::Cut;
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::{Network, Users, on_a_network, under};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Lines of the log of this process, each with its level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl Lines {
    /// The lines at `info` and above that begin so.
    fn beginning(&self, start: &str) -> Vec<String> {
        let lines = self.0.lock();
        let wanted = lines.iter().filter(|(level, _)| *level <= Level::INFO);
        wanted
            .map(|(_, line)| line.clone())
            .filter(|line| line.starts_with(start))
            .collect()
    }

    fn all(&self) -> Vec<(Level, String)> {
        self.0.lock().clone()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
        } else {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

thread_local! {
    /// Who listens to what happens on this thread.
    static HEARD: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// Takes the lines of all threads. (A subscriber for one thread alone may miss what another thread
/// was the first to say.)
struct Router;

impl Subscriber for Router {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("larder")
    }

    fn event(&self, event: &Event<'_>) {
        HEARD.with_borrow(|heard| {
            let Some(lines) = heard else { return };
            let mut line = Line(String::new());
            event.record(&mut line);
            lines.0.lock().push((*event.metadata().level(), line.0));
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Runs a test on a network and lets it look at the log.
fn watched<F>(test: impl Fn(Network, Lines) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    // An error says that another test has set it.
    let _ = tracing::subscriber::set_global_default(Router);
    for seed in 0..20 {
        let lines = Lines::default();
        // A whole run is on this thread.
        HEARD.set(Some(lines.clone()));
        under(seed, |network| test(network, lines));
        HEARD.set(None);
    }
}

/// A key that must not be told to everybody.
const SECRET: u64 = 987_654_321;

#[test]
fn what_is_sent_is_said_with_its_place_and_without_keys() {
    watched(|mut network, lines| async move {
        let one = network.node().await;
        one.insert(&SECRET, 1).await.unwrap();
        assert_eq!(
            lines.beginning("sent"),
            [""; 0],
            "inserts are for debugging"
        );
        one.invalidate_many(&[SECRET, 2]).await.unwrap();
        one.expire(&SECRET).await.unwrap();
        one.invalidate_tags(["a", "b"]).await.unwrap();
        one.invalidate_prefix("98").await.unwrap();
        one.clear().await.unwrap();
        let sent = lines.beginning("sent");
        let places = ["2", "3", "4", "5", "6"];
        let changes = [
            "2 invalidated",
            "1 expired",
            "2 tag",
            "1 invalidated",
            "1 cleared",
        ];
        assert_eq!(sent.len(), places.len(), "{sent:?}");
        for ((line, place), change) in sent.iter().zip(places).zip(changes) {
            assert!(line.contains(&format!(" seq={place} ")), "{line}");
            assert!(line.contains(&format!(" changes={change}")), "{line}");
            assert!(line.contains("cache=\"app:users\""), "{line}");
        }
        for (level, line) in lines.all() {
            assert!(!line.contains("987"), "{level} {line}");
        }
    });
}

#[test]
fn each_change_of_state_is_one_line() {
    watched(|mut network, lines| async move {
        let (one, two) = network.two().await;
        assert_eq!(lines.beginning("bus: joined").len(), 2);
        for state in [
            "bus: gap",
            "bus: replay",
            "bus: flush",
            "bus: fenced",
            "bus: resumed",
        ] {
            assert_eq!(lines.beginning(state), [""; 0]);
        }
        network.cut(1, Cut::Pushes);
        one.insert(&1, 11).await.unwrap();
        network.pass(ms(600)).await;
        for state in ["bus: gap", "bus: replay"] {
            let said = lines.beginning(state);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains("from=2 to=2"), "{said:?}");
        }
        network.cut(1, Cut::Both);
        network.pass(ms(5_000)).await;
        assert_eq!(lines.beginning("bus: fenced").len(), 1);
        assert_eq!(lines.beginning("bus: resumed"), [""; 0]);
        let fenced = two.stats().bus.fenced;
        assert!((ms(3_900)..ms(4_400)).contains(&fenced), "{fenced:?}");
        for value in 0..5 {
            one.insert(&1, value).await.unwrap();
        }
        // The other node has heard of all of them by then.
        network.pass(ms(50)).await;
        network.store.trim_log(1);
        network.cut(1, Cut::Nothing);
        network.pass(ms(1_500)).await;
        assert_eq!(lines.beginning("bus: fenced").len(), 1);
        let resumed = lines.beginning("bus: resumed");
        assert_eq!(resumed.len(), 1, "{resumed:?}");
        let flushed = lines.beginning("bus: flush");
        assert_eq!(flushed.len(), 1, "{flushed:?}");
        assert!(
            flushed[0].contains("no longer has what was missed"),
            "{flushed:?}"
        );
        let after = two.stats().bus.fenced;
        assert!(after >= fenced && after < fenced + ms(1_000), "{after:?}");
        network.pass(ms(2_000)).await;
        assert_eq!(two.stats().bus.fenced, after);
        assert_eq!(one.stats().bus.fenced, Duration::ZERO);
        // A record that overtakes another one on its way to the other node is a gap, too.
        let states = lines.beginning("bus: ");
        let is_state = |line: &&String| !line.contains(": gap") && !line.contains(": replay");
        assert_eq!(states.iter().filter(is_state).count(), 2 + 3, "{states:?}");
    });
}

/// How often, by cause.
fn counts(of: &[(EventCause, u64)]) -> Vec<u64> {
    of.iter().map(|(_, count)| *count).collect()
}

async fn change(cache: &Users) {
    cache.insert_many([(1, 1), (2, 2)]).await.unwrap();
    let tagged = InsertOptions::new().tag("a");
    cache.insert_with(&3, 3, tagged).await.unwrap();
    cache.invalidate(&1).await.unwrap();
    cache.expire(&2).await.unwrap();
    cache.invalidate_tag("a").await.unwrap();
    cache.invalidate_prefix("9").await.unwrap();
    cache.clear().await.unwrap();
}

#[test]
fn everything_is_counted_by_kind_on_both_sides() {
    on_a_network(|mut network| async move {
        let (one, two) = (network.node().await, network.node().await);
        change(&one).await;
        network.pass(ms(100)).await;
        let (sent, heard) = (one.stats().bus, two.stats().bus);
        // Inserted, invalidated, expired, tag, cleared.
        assert_eq!(counts(&sent.sent), [3, 2, 1, 1, 1]);
        assert_eq!(counts(&heard.sent), [0; 5]);
        assert_eq!(counts(&sent.heard), [3, 2, 1, 1, 1], "own ones included");
        assert_eq!(counts(&heard.heard), [3, 2, 1, 1, 1]);
        assert_eq!((heard.received, heard.flushes), (7, 1));
        let delay = heard.delay;
        assert!((1..=7).contains(&delay.records), "{delay:?}");
        // On its way for a millisecond at most, and counted in whole ones.
        assert!(
            delay.longest <= ms(2) && delay.mean() <= delay.longest,
            "{delay:?}"
        );
    });
}

#[test]
fn a_slow_way_shows_in_the_delay() {
    on_a_network(|mut network| async move {
        let (one, two) = (network.node().await, network.node().await);
        let before = two.stats().bus.delay;
        network.runtime.freeze(1);
        one.insert(&1, 1).await.unwrap();
        network.pass(ms(80)).await;
        network.runtime.thaw(1);
        network.pass(ms(20)).await;
        let after = two.stats().bus.delay;
        assert_eq!(after.records, before.records + 1);
        assert!((ms(79)..ms(90)).contains(&after.longest), "{after:?}");
    });
}

#[test]
fn gaps_and_replays_are_counted() {
    on_a_network(|mut network| async move {
        let (one, two) = (network.node().await, network.node().await);
        network.cut(1, Cut::Pushes);
        one.insert(&1, 1).await.unwrap();
        network.cut(1, Cut::Nothing);
        one.insert(&1, 2).await.unwrap();
        network.pass(ms(400)).await;
        let bus = two.stats().bus;
        assert_eq!(bus.received, 2);
        assert!(bus.gaps <= 1 && bus.replays == 1, "{bus:?}");
        assert_eq!(bus.flushes, 1, "the one at which it joined");
    });
}
