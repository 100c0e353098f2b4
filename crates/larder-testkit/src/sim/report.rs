//! What runs amounted to: the sums of one run or of many, and their table.

use std::fmt;

use larder::{ErrorKind, Refusal, Stats};

use super::{Fault, World};

/// The sums of one or more runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs.
    pub runs: u64,
    /// Operations that the workload asked for.
    pub operations: u64,
    /// Reads whose value was checked.
    pub reads: u64,
    /// Changes that were acknowledged.
    pub changes: u64,
    /// Operations that ended with an error.
    pub errors: u64,
    /// Faults by class, in the order of [`Fault::ALL`].
    pub faults: [u64; Fault::ALL.len()],
    /// Reads answered by a near cache.
    pub near_hits: u64,
    /// Reads that a near cache could not answer, those of nodes without one included.
    pub near_misses: u64,
    /// Records of the bus that were applied.
    pub bus_records: u64,
    /// Records that came with others missing before them.
    pub gaps: u64,
    /// How often all near copies of a node were dropped.
    pub flushes: u64,
    /// Values that travelled on the bus and were kept.
    pub updates: u64,
    /// Changes of which all nodes were said to have heard.
    pub heard: u64,
    /// Changes of which they were not, in the time that was given.
    pub unheard: u64,
    /// Values that were not stored, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Refreshes that brought a newer value.
    pub refreshed: u64,
    /// Stale values that were served while they were refreshed.
    pub stale_served: u64,
    /// Requests of the nodes that were not answered in time.
    pub unanswered: u64,
}

impl Report {
    /// The sums of one run.
    pub(super) fn of(world: &World, errors: u64) -> Report {
        let (reads, changes) = world.history.counts();
        let (heard, unheard) = world.journal.waits();
        let mut report = Report {
            runs: 1,
            operations: world.journal.operations(),
            reads,
            changes,
            errors,
            faults: world.journal.faults(),
            heard,
            unheard,
            ..Report::default()
        };
        for node in &world.nodes {
            report.count(&node.stats());
        }
        report
    }

    fn count(&mut self, stats: &Stats) {
        self.near_hits += stats.near.hits;
        self.near_misses += stats.near.misses;
        self.bus_records += stats.bus.received;
        self.gaps += stats.bus.gaps;
        self.flushes += stats.bus.flushes;
        self.updates += stats.bus.updates;
        self.refreshed += stats.refreshes.loaded + stats.refreshes.adopted;
        self.stale_served += stats.refreshes.stale_served;
        for (sum, refusal) in self.refused.iter_mut().zip(Refusal::ALL) {
            let counts = stats.refused.iter();
            *sum += counts
                .filter(|(reason, _)| *reason == refusal)
                .map(|(_, count)| count)
                .sum::<u64>();
        }
        let errors = stats.errors.iter();
        self.unanswered += errors
            .filter(|(kind, _)| *kind == ErrorKind::Timeout)
            .map(|(_, count)| count)
            .sum::<u64>();
    }

    /// Adds the sums of other runs.
    pub fn add(&mut self, other: &Report) {
        self.runs += other.runs;
        self.operations += other.operations;
        self.reads += other.reads;
        self.changes += other.changes;
        self.errors += other.errors;
        self.near_hits += other.near_hits;
        self.near_misses += other.near_misses;
        self.bus_records += other.bus_records;
        self.gaps += other.gaps;
        self.flushes += other.flushes;
        self.updates += other.updates;
        self.heard += other.heard;
        self.unheard += other.unheard;
        self.refreshed += other.refreshed;
        self.stale_served += other.stale_served;
        self.unanswered += other.unanswered;
        let more = |sums: &mut [u64], others: &[u64]| {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other;
            }
        };
        more(&mut self.faults, &other.faults);
        more(&mut self.refused, &other.refused);
    }

    /// How many faults of a class there were.
    pub fn fault(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    /// How many disasters there were, of all classes.
    pub fn disasters(&self) -> u64 {
        self.faults[..Fault::DISASTERS].iter().sum()
    }

    /// The share of near hits among all reads, in percent.
    pub fn hit_percent(&self) -> f64 {
        let reads = self.near_hits + self.near_misses;
        self.near_hits as f64 * 100.0 / reads.max(1) as f64
    }

    /// Why values may be refused, and never were.
    pub fn never_refused(&self) -> Vec<Refusal> {
        let counts = Refusal::ALL.into_iter().zip(self.refused);
        let never = counts.filter(|(_, count)| *count == 0);
        never.map(|(refusal, _)| refusal).collect()
    }
}

impl Report {
    /// Name and count of everything, in an order for people.
    pub fn rows(&self) -> Vec<(String, String)> {
        let row = |name: &str, count: u64| (name.to_owned(), count.to_string());
        let mut rows = vec![
            row("seeds", self.runs),
            row("operations", self.operations),
            row("reads checked", self.reads),
            row("near hits", self.near_hits),
            (
                "near hits, share of all reads".to_owned(),
                format!("{:.1} %", self.hit_percent()),
            ),
            row("changes acknowledged", self.changes),
            row("operations that failed", self.errors),
            row("requests of nodes without answer", self.unanswered),
        ];
        let faults = Fault::ALL.into_iter().zip(self.faults);
        rows.extend(faults.map(|(fault, count)| row(fault.as_str(), count)));
        rows.push(row("bus records applied", self.bus_records));
        rows.push(row("gaps", self.gaps));
        rows.push(row("flushes", self.flushes));
        rows.push(row("values kept that travelled", self.updates));
        rows.push(row("values refreshed", self.refreshed));
        rows.push(row("stale values served meanwhile", self.stale_served));
        rows.push(row("changes heard of by all nodes", self.heard));
        rows.push(row("not in the time given", self.unheard));
        let refused = Refusal::ALL.into_iter().zip(self.refused);
        rows.extend(
            refused.map(|(reason, count)| row(&format!("refused: {}", reason.as_str()), count)),
        );
        rows
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.rows() {
            writeln!(f, "| {name} | {count} |")?;
        }
        Ok(())
    }
}
