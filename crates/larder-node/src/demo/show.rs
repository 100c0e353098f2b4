//! What is seen while it runs: a table that is drawn again, lines, or JSON.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stdout};
use std::time::Duration;

use serde_json::{Value, json};

use super::board::{NodeSecond, State};
use super::figures::{Count, Figures};
use super::spread::Spread;
use super::summary::Summary;
use crate::cli::Shown;

/// Lines below the table that tell what happened.
const LINES: usize = 6;

const TITLES: [&str; 12] = [
    "NODE",
    "STATE",
    "READS/S",
    "NEAR",
    "P50",
    "P99",
    "SENT",
    "RECEIVED",
    "P50",
    "P99",
    "NEAR SIZE",
    "STALE",
];

/// Where it is shown.
pub(super) struct Screen {
    shown: Shown,
    title: String,
    /// Lines that are to be drawn over.
    drawn: usize,
    happened: VecDeque<String>,
}

impl Screen {
    /// As was asked for; else a table on a terminal, and lines elsewhere.
    pub(super) fn new(shown: Option<Shown>, title: String) -> Screen {
        let fitting = || match stdout().is_terminal() {
            true => Shown::Live,
            false => Shown::Plain,
        };
        Screen {
            shown: shown.unwrap_or_else(fitting),
            title,
            drawn: 0,
            happened: VecDeque::new(),
        }
    }

    /// Shows a second.
    pub(super) fn second(&mut self, second: u64, nodes: &[NodeSecond], happened: &[String]) {
        let text = match self.shown {
            Shown::Live => self.live(second, nodes, happened),
            Shown::Plain => plain(second, nodes, happened),
            Shown::Json => format!("{}\n", as_json(second, nodes, happened)),
        };
        print(&text);
    }

    /// Shows the end.
    pub(super) fn summary(&self, summary: &Summary) {
        match self.shown {
            Shown::Live | Shown::Plain => print(&format!("\n{}", summary.text())),
            Shown::Json => print(&format!("{}\n", summary.json())),
        }
    }

    fn live(&mut self, second: u64, nodes: &[NodeSecond], happened: &[String]) -> String {
        self.happened.extend(happened.iter().cloned());
        while self.happened.len() > LINES {
            self.happened.pop_front();
        }
        let mut lines = vec![format!("{}   second {second}", self.title), String::new()];
        let rows = nodes.iter().map(cells);
        let rows: Vec<[String; 12]> = std::iter::once(TITLES.map(str::to_owned))
            .chain(rows)
            .collect();
        lines.extend(aligned(&rows));
        lines.push(String::new());
        lines.extend(self.happened.iter().cloned());
        // Up to where it was drawn before, then over it, line by line.
        let mut text = match self.drawn {
            0 => String::new(),
            drawn => format!("\x1b[{drawn}A"),
        };
        for line in &lines {
            let _ = writeln!(text, "\x1b[2K{line}");
        }
        self.drawn = self.drawn.max(lines.len());
        for _ in lines.len()..self.drawn {
            text.push_str("\x1b[2K\n");
        }
        text
    }
}

/// A reader that has seen enough, such as `head`, is no failure.
fn print(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A row of the table.
fn cells(node: &NodeSecond) -> [String; 12] {
    let (now, all) = (&node.now, &node.all);
    let is_dead = node.state == State::Killed;
    let at = |spread: &Spread, percent| time(spread.percentile(percent));
    [
        node.name.clone(),
        node.state.word().to_owned(),
        number(now.get(Count::Reads)),
        percent(now.near_percent()),
        at(&now.reads, 50),
        at(&now.reads, 99),
        number(now.get(Count::Sent)),
        number(now.get(Count::Received)),
        at(&now.heard, 50),
        at(&now.heard, 99),
        if is_dead { "-".into() } else { held(now) },
        number(all.get(Count::Stale)),
    ]
}

fn held(figures: &Figures) -> String {
    format!("{} / {}", number(figures.entries), size(figures.bytes))
}

/// Columns under their titles; numbers stand to the right.
fn aligned(rows: &[[String; 12]]) -> Vec<String> {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; 12] = std::array::from_fn(width);
    let line = |row: &[String; 12]| {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

fn plain(second: u64, nodes: &[NodeSecond], happened: &[String]) -> String {
    let mut text = String::new();
    for line in happened {
        let _ = writeln!(text, "{second:3} s  {line}");
    }
    for node in nodes {
        let [
            name,
            state,
            reads,
            near,
            p50,
            p99,
            sent,
            received,
            soon,
            late,
            held,
            stale,
        ] = cells(node);
        let _ = writeln!(
            text,
            "{second:3} s  {name} {state}: reads {reads}, near hits {near}, p50 {p50}, p99 {p99}; \
             invalidations sent {sent}, received {received}, p50 {soon}, p99 {late}; near {held}; \
             stale {stale}"
        );
    }
    text
}

fn as_json(second: u64, nodes: &[NodeSecond], happened: &[String]) -> Value {
    let node = |node: &NodeSecond| {
        let mut object = figures(&node.now);
        object["name"] = json!(node.name);
        object["state"] = json!(node.state.word());
        object["stale_in_all"] = json!(node.all.get(Count::Stale));
        object
    };
    json!({
        "second": second,
        "nodes": nodes.iter().map(node).collect::<Vec<_>>(),
        "happened": happened,
    })
}

/// Figures for programs.
pub(super) fn figures(figures: &Figures) -> Value {
    let get = |count| figures.get(count);
    let us = |spread: &Spread, percent| {
        let took = spread.percentile(percent);
        took.map(|took| took.as_nanos() as f64 / 1_000.0)
    };
    json!({
        "reads": get(Count::Reads),
        "near_hits": get(Count::NearHits),
        "near_percent": figures.near_percent(),
        "shelf_reads": get(Count::Shelves),
        "negative_reads": get(Count::Negatives),
        "errors": get(Count::Errors),
        "read_p50_us": us(&figures.reads, 50),
        "read_p99_us": us(&figures.reads, 99),
        "changes": figures.changes(),
        "created": get(Count::Created),
        "updated": get(Count::Updated),
        "removed": get(Count::Removed),
        "sales": get(Count::Sales),
        "left_to_outbox": get(Count::Left),
        "carried_out_from_outbox": get(Count::CarriedOut),
        "sent": get(Count::Sent),
        "received": get(Count::Received),
        "heard_p50_us": us(&figures.heard, 50),
        "heard_p99_us": us(&figures.heard, 99),
        "judged_changes": get(Count::Judged),
        "unjudged_changes": get(Count::Unjudged),
        "fenced_ms": get(Count::FencedMs),
        "near_entries": figures.entries,
        "near_bytes": figures.bytes,
        "stale": get(Count::Stale),
        "stale_own": get(Count::OwnStale),
    })
}

/// A number with its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

pub(super) fn percent(percent: Option<f64>) -> String {
    percent.map_or("-".into(), |percent| format!("{percent:.1} %"))
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

pub(super) fn time(took: Option<Duration>) -> String {
    let Some(took) = took else {
        return "-".into();
    };
    let nanos = took.as_nanos() as f64;
    match took.as_nanos() {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} µs", nanos / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.1} s", nanos / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        let numbers = [0, 999, 1_000, 1_234_567].map(number);
        assert_eq!(numbers, ["0", "999", "1 000", "1 234 567"]);
        assert_eq!([5, 2_048, 3 << 20].map(size), ["5 B", "2.0 KiB", "3.0 MiB"]);
        let times = [700, 1_500, 2_500_000, 3_000_000_000];
        let times = times.map(|nanos| time(Some(Duration::from_nanos(nanos))));
        assert_eq!(times, ["700 ns", "1.5 µs", "2.5 ms", "3.0 s"]);
        assert_eq!((time(None), percent(None)), ("-".into(), "-".into()));
    }

    #[test]
    fn a_table_is_drawn_over_the_one_before_it() {
        let mut screen = Screen::new(Some(Shown::Live), "title".into());
        let node = || NodeSecond {
            name: "node1".into(),
            state: State::Reads,
            now: Figures::default(),
            all: Figures::default(),
        };
        let first = screen.live(1, &[node()], &["a".into(), "b".into()]);
        assert!(
            !first.contains("\x1b[7A") && first.lines().count() == 7,
            "{first:?}"
        );
        let more: Vec<String> = (0..9).map(|number| number.to_string()).collect();
        let second = screen.live(2, &[node()], &more);
        assert!(
            second.starts_with("\x1b[7A\x1b[2Ktitle   second 2\n"),
            "{second:?}"
        );
        assert_eq!(second.lines().count(), 5 + LINES);
        let titles: Vec<&str> = second
            .lines()
            .filter(|line| line.contains("READS/S"))
            .collect();
        assert_eq!(titles.len(), 1);
    }
}
