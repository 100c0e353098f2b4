//! What runs amounted to: the sums of one run or of many, and their table.

use std::fmt;

use larder::{ErrorKind, Refusal, Stats};

use super::{Fault, World};

const COUNTED: &str = "seeds with near hits for half of their reads";
const MISSES: &str = "near misses";

/// The sums of one or more runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs.
    pub runs: u64,
    /// Runs in which at least half of the reads were answered by near caches. Others say little.
    pub counted: u64,
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
    /// Calls of loaders of many keys.
    pub together: u64,
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
        let former = world.former.lock().expect("no one panics who counts");
        former.iter().for_each(|stats| report.count(stats));
        drop(former);
        for node in 0..world.count() {
            report.count(&world.node(node).stats());
        }
        report.counted = u64::from(report.is_half_near());
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
        self.together += stats.loads.batches;
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

    /// Whether near caches have answered at least half of the reads.
    pub(super) fn is_half_near(&self) -> bool {
        self.near_hits >= self.near_misses
    }

    /// Adds the sums of other runs.
    pub fn add(&mut self, other: &Report) {
        let mut other = other.clone();
        let others = other.fields();
        for ((_, sum), (_, more)) in self.fields().into_iter().zip(others) {
            *sum += *more;
        }
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
    /// Every sum with its name, in an order for people.
    fn fields(&mut self) -> Vec<(String, &mut u64)> {
        let named = |name: &str| name.to_owned();
        let mut fields = vec![
            (named("seeds"), &mut self.runs),
            (named(COUNTED), &mut self.counted),
            (named("operations"), &mut self.operations),
            (named("reads checked"), &mut self.reads),
            (named("near hits"), &mut self.near_hits),
            (named(MISSES), &mut self.near_misses),
            (named("changes acknowledged"), &mut self.changes),
            (named("operations that failed"), &mut self.errors),
            (
                named("requests of nodes without answer"),
                &mut self.unanswered,
            ),
        ];
        let faults = Fault::ALL.into_iter().zip(&mut self.faults);
        fields.extend(faults.map(|(fault, count)| (named(fault.as_str()), count)));
        fields.extend([
            (named("bus records applied"), &mut self.bus_records),
            (named("gaps"), &mut self.gaps),
            (named("flushes"), &mut self.flushes),
            (named("values kept that travelled"), &mut self.updates),
            (named("values refreshed"), &mut self.refreshed),
            (
                named("stale values served meanwhile"),
                &mut self.stale_served,
            ),
            (named("calls of loaders of many keys"), &mut self.together),
            (named("changes heard of by all nodes"), &mut self.heard),
            (named("not in the time given"), &mut self.unheard),
        ]);
        let refused = Refusal::ALL.into_iter().zip(&mut self.refused);
        fields.extend(
            refused.map(|(reason, count)| (format!("refused: {}", reason.as_str()), count)),
        );
        fields
    }

    /// Name and count of everything, in an order for people.
    pub fn rows(&self) -> Vec<(String, String)> {
        let share = format!("{:.1} %", self.hit_percent());
        let mut copy = self.clone();
        let mut rows: Vec<(String, String)> = copy
            .fields()
            .into_iter()
            .map(|(name, count)| (name, count.to_string()))
            .collect();
        if let Some(misses) = rows.iter_mut().find(|(name, _)| name == MISSES) {
            *misses = ("near hits, share of all reads".to_owned(), share);
        }
        rows
    }

    /// All sums in one line, which [`Report::read`] reads.
    pub fn line(&self) -> String {
        let mut copy = self.clone();
        let fields = copy.fields().into_iter();
        let words: Vec<String> = fields
            .map(|(name, count)| format!("{name}={count}"))
            .collect();
        words.join("\t")
    }

    /// Reads a line of [`Report::line`]. What it does not name is zero, and what is not known is
    /// passed over.
    pub fn read(line: &str) -> Report {
        let mut report = Report::default();
        for (name, count) in report.fields() {
            let word = |word: &&str| word.rsplit_once('=').is_some_and(|(key, _)| key == name);
            let found = line.split('\t').find(word);
            let value = found.and_then(|word| word.rsplit_once('=')?.1.parse().ok());
            *count = value.unwrap_or(0);
        }
        report
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_brings_every_sum_back() {
        let mut report = Report::default();
        for (at, (_, count)) in report.fields().into_iter().enumerate() {
            *count = at as u64 * 7 + 1;
        }
        assert_eq!(Report::read(&report.line()), report);
        let mut twice = report.clone();
        twice.add(&report);
        assert_eq!((twice.runs, twice.refused[0]), (2, report.refused[0] * 2));
    }
}
