//! The end of a run: quiet, and then every copy beside the database.

use std::time::Duration;

use larder_core::Runtime;

use super::{Bus, End, NODES, Stage};
use crate::demo::board::Board;
use crate::demo::compare::Compared;
use crate::demo::message::Order;
use crate::demo::summary::Summary;

/// How long the outbox may take until it is empty, and how often it is looked at.
const DRAINED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// After the last change and its word, nothing old is left (docs/consistency.md, G1).
const QUIET: Duration = Duration::from_secs(2);

impl Stage {
    /// Ends writing and reading, and compares every copy with the database.
    pub(super) async fn look(&mut self) -> Result<Summary, End> {
        for node in 0..NODES {
            self.order(node, &Order::StopWriting)?;
        }
        let have_stopped = |board: &Board| board.seats.iter().all(|seat| seat.has_stopped_writing);
        self.wait("the end of all writing", have_stopped).await?;
        let waiting = self.drained().await?;
        self.pass(self.runtime.precise().after(QUIET)).await?;
        for node in 0..NODES {
            self.order(node, &Order::StopReading)?;
        }
        let have_stopped = |board: &Board| board.seats.iter().all(|seat| seat.has_stopped_reading);
        self.wait("the end of all reading", have_stopped).await?;
        let seats = self.board.seats.iter();
        let nodes = seats.map(|seat| (seat.name.clone(), seat.all())).collect();
        for node in 0..NODES {
            self.order(node, &Order::Copies)?;
        }
        let have_told = |board: &Board| board.seats.iter().all(|seat| seat.has_told_copies);
        self.wait("the copies of all nodes", have_told).await?;
        let rows = self.catalogue.rows().await.map_err(source)?;
        let mut compared = Compared::default();
        for seat in &self.board.seats {
            compared.add(&seat.name, &seat.copies, &rows);
        }
        let copies = || copies(&self.board);
        let kept = self.home.keep("copies.jsonl", copies);
        kept.map_err(|error| End::Failed(error.to_string()))?;
        Ok(Summary {
            bus: self.bus.word(),
            is_control: matches!(self.bus, Bus::Off),
            seconds: self.seconds,
            nodes,
            kills: self.board.kills.clone(),
            stale: self.board.stale.clone(),
            compared,
            waiting,
        })
    }

    /// Waits until the outbox is empty; gives what is left of it. Nobody empties it without a bus.
    async fn drained(&mut self) -> Result<u64, End> {
        let limit = match self.bus {
            Bus::Off => Duration::ZERO,
            _ => DRAINED_WITHIN,
        };
        let until = self.runtime.precise().after(limit);
        loop {
            let waiting = self.catalogue.waiting().await.map_err(source)?;
            let now = self.runtime.precise();
            if waiting == 0 || now >= until {
                return Ok(waiting);
            }
            self.pass(now.after(LOOK_EVERY)).await?;
        }
    }
}

fn source(error: sqlx::Error) -> End {
    End::Failed(format!("the catalogue – {error}"))
}

/// All copies, for whoever wants to compare them again.
fn copies(board: &Board) -> String {
    let lines = board.seats.iter().flat_map(|seat| {
        seat.copies.iter().map(|copies| {
            let line = serde_json::json!({ "node": seat.name, "copies": copies });
            format!("{line}\n")
        })
    });
    lines.collect()
}
