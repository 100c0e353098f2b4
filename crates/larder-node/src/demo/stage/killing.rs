//! The writer is killed at the worst moment, and comes back.

use std::time::Duration;

use larder_core::Runtime;

use super::{End, NODES, Stage};
use crate::demo::board::{Board, Kill};
use crate::demo::message::Order;
use crate::demo::{show, zipf};

impl Stage {
    /// Kills the writer between its commit and its invalidation, lets the next one write, and brings
    /// it back. Gives the next writer.
    pub(super) async fn kill(&mut self, writer: usize) -> Result<usize, End> {
        let product = zipf::product(0);
        self.order(writer, &Order::Hold { product })?;
        let is_held = |board: &Board| board.seats[writer].held.is_some();
        self.wait("a commit to be killed after", is_held).await?;
        let Some(held) = self.board.seats[writer].held.clone() else {
            return Ok(writer);
        };
        if let Some(process) = self.processes[writer].take() {
            process.kill().await;
        }
        let killed = self.runtime.precise();
        self.board.seats[writer].ends();
        let name = self.board.seats[writer].name.clone();
        let version = held.change.version;
        self.board.happens(format!(
            "{name} is killed between the commit of change {version} and its invalidation"
        ));
        let shown = self.await_shown(product, version).await?;
        self.board.kills.push(Kill {
            node: name.clone(),
            product,
            version,
            shown,
            back: None,
        });
        let next = (writer + 1) % NODES;
        self.writes(next)?;
        let away = Duration::from_millis((self.seconds * 100).clamp(500, 3_000));
        self.pass(killed.after(away)).await?;
        let started = self.runtime.precise();
        self.start(writer)?;
        let is_ready = |board: &Board| board.seats[writer].is_ready;
        self.wait("the return of a killed node", is_ready).await?;
        let took = self.runtime.precise().since(started);
        if let Some(kill) = self.board.kills.last_mut() {
            kill.back = Some(took);
        }
        let ready = show::time(Some(took));
        self.board
            .happens(format!("{name} is started again, and ready after {ready}"));
        self.reads(writer)?;
        Ok(next)
    }

    /// When each node that lives shows a change of which nobody but the outbox can tell it.
    async fn await_shown(
        &mut self,
        product: u32,
        version: i64,
    ) -> Result<Vec<(String, Option<Duration>)>, End> {
        let others = self.processes.iter().enumerate();
        let others = others.filter(|(_, process)| process.is_some());
        let others: Vec<usize> = others.map(|(node, _)| node).collect();
        for node in &others {
            self.order(*node, &Order::Await { product, version })?;
        }
        let have_said = |board: &Board| {
            let said = |node: &usize| board.seats[*node].awaited.map(|(of, _)| of);
            others.iter().all(|node| said(node) == Some(version))
        };
        self.wait("the others to show that change", have_said)
            .await?;
        let mut shown = Vec::new();
        for node in others {
            let seat = &self.board.seats[node];
            let (name, took) = (seat.name.clone(), seat.awaited.and_then(|(_, took)| took));
            let line = match took {
                Some(took) => format!("{name} shows it after {}", show::time(Some(took))),
                None => format!("{name} does not show it"),
            };
            self.board.happens(line);
            shown.push((name, took));
        }
        Ok(shown)
    }
}
