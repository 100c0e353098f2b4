//! What a ping has found, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use larder_core::bus::Seen;
use larder_core::lane::Position;
use serde_json::{Value, json};

/// What a ping has found.
pub(super) struct Report {
    pub(super) server: String,
    /// Where the probe stands; `None` without a log.
    pub(super) position: Option<Position>,
    pub(super) round_trip: Duration,
    pub(super) rows: Vec<Row>,
    /// Whether all readers are known: the list may have been begun a moment ago.
    pub(super) is_whole: bool,
}

/// One reader.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    name: String,
    cache: String,
    node: u32,
    state: State,
}

/// How a reader stands to the probe.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// It said so, so long after the probe was written.
    Applied(Duration),
    /// It has said nothing for so long that it cannot use its near copies.
    Fenced(Duration),
    /// It is there, and so many records behind, if that can be told.
    Behind(Option<u64>),
}

impl Row {
    pub(super) fn new(reader: &Seen, state: State) -> Row {
        Row {
            name: reader.name.to_string(),
            cache: reader.cache.to_string(),
            node: reader.node,
            state,
        }
    }

    /// Whether waiting may change something.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Behind(_))
    }

    fn is_applied(&self) -> bool {
        matches!(self.state, State::Applied(_))
    }

    /// The state, and what there is to say about it.
    fn words(&self) -> (&'static str, String) {
        match &self.state {
            State::Applied(after) => ("applied", format!("after {} ms", after.as_millis())),
            State::Fenced(silent) => {
                let seconds = silent.as_secs_f64();
                ("fenced", format!("silent for {seconds:.1} s"))
            }
            State::Behind(Some(records)) => ("behind", format!("by {records} records")),
            State::Behind(None) => ("behind", "it has just begun".into()),
        }
    }

    fn json(&self) -> Value {
        let (state, _) = self.words();
        let mut row = json!({
            "node": self.name,
            "number": format!("{:08x}", self.node),
            "cache": self.cache,
            "state": state,
        });
        match &self.state {
            State::Applied(after) => row["applied_ms"] = json!(after.as_millis() as u64),
            State::Fenced(silent) => row["silent_ms"] = json!(silent.as_millis() as u64),
            State::Behind(records) => row["records_behind"] = json!(records),
        }
        row
    }
}

impl Report {
    /// Whether everybody who is known has applied the probe.
    pub(super) fn is_complete(&self) -> bool {
        self.is_whole && self.rows.iter().all(Row::is_applied)
    }

    fn applied(&self) -> usize {
        self.rows.iter().filter(|row| row.is_applied()).count()
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Some(position) = self.position else {
            return writeln!(out, "{}: nobody reads a log here", self.server);
        };
        let ms = self.round_trip.as_secs_f64() * 1_000.0;
        writeln!(
            out,
            "{}: probe {} written in {ms:.1} ms",
            self.server, position.seq
        )?;
        let width = |text: fn(&Row) -> &str| {
            self.rows
                .iter()
                .map(|row| text(row).chars().count())
                .max()
                .unwrap_or(0)
        };
        let (names, caches) = (width(|row| &row.name), width(|row| &row.cache));
        for row in &self.rows {
            let (state, more) = row.words();
            writeln!(
                out,
                "  {:names$}  {:caches$}  {state:7}  {more}",
                row.name, row.cache
            )?;
        }
        writeln!(
            out,
            "{} of {} readers have applied it",
            self.applied(),
            self.rows.len()
        )?;
        if !self.is_whole {
            writeln!(out, "the list of readers has just begun and may lack some")?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> String {
        let position = self.position.map(|at| {
            json!({
                "incarnation": at.incarnation,
                "seq": at.seq,
            })
        });
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let report = json!({
            "server": self.server,
            "position": position,
            "round_trip_ms": self.round_trip.as_secs_f64() * 1_000.0,
            "complete": self.is_complete(),
            "applied": self.applied(),
            "whole_list": self.is_whole,
            "readers": rows,
        });
        format!("{report}\n")
    }
}
