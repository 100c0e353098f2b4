//! What the run has shown, and whether it has shown what it should.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::VISIBLE_AFTER_COMMIT;
use super::board::Kill;
use super::compare::Compared;
use super::figures::{Count, Figures};
use super::show::{number, percent, size, time};

/// The least share of reads that near caches must have answered, in percent.
const NEAR_PERCENT: f64 = 80.0;

/// Of so many reads one may have failed.
const READS_PER_ERROR: u64 = 1_000;

/// What must have happened in each second of all nodes together, or it means nothing.
const EACH_SECOND: [(Count, u64, &str); 4] = [
    (Count::Reads, 500, "reads"),
    (Count::Shelves, 5, "reads of shelves"),
    (Count::Negatives, 1, "reads of products that are not there"),
    (Count::Judged, 5, "changes to which reads were held"),
];

/// What must have happened on each node, for each second.
const EACH_NODE: [(Count, u64, &str); 2] = [
    (Count::Received, 2, "invalidations received"),
    (Count::Judged, 2, "changes to which reads were held"),
];

/// What must have happened once.
const ONCE: [(Count, &str); 4] = [
    (Count::Created, "creations"),
    (Count::Updated, "updates"),
    (Count::Removed, "removals"),
    (Count::Sales, "sales of a category"),
];

/// What must have happened in each second: changes of all kinds.
const CHANGES: u64 = 5;

/// Copies that must have been compared, in near caches and behind them.
const COPIES: u64 = 300;

/// Everything that is known in the end.
pub(super) struct Summary {
    pub(super) bus: &'static str,
    /// Nobody is told of changes: it is meant to fail.
    pub(super) is_control: bool,
    pub(super) seconds: u64,
    pub(super) nodes: Vec<(String, Figures)>,
    pub(super) kills: Vec<Kill>,
    /// Descriptions of the first stale reads.
    pub(super) stale: Vec<String>,
    pub(super) compared: Compared,
    /// Notices that are still in the outbox.
    pub(super) waiting: u64,
}

impl Summary {
    pub(super) fn is_right(&self) -> bool {
        self.problems().is_empty()
    }

    fn all(&self) -> Figures {
        let mut all = Figures::default();
        self.nodes.iter().for_each(|(_, figures)| all.add(figures));
        all
    }

    /// Everything that is wrong, and everything that has not happened often enough.
    pub(super) fn problems(&self) -> Vec<String> {
        let all = self.all();
        let mut problems = Vec::new();
        let stale = all.get(Count::Stale);
        if stale > 0 {
            problems.push(format!("{} stale reads", number(stale)));
        }
        let wrong = self.compared.wrong;
        if wrong > 0 {
            problems.push(format!("{} copies differ from the database", number(wrong)));
        }
        if self.waiting > 0 {
            let waiting = number(self.waiting);
            problems.push(format!("{waiting} notices are left in the outbox"));
        }
        if all.near_percent().is_none_or(|near| near < NEAR_PERCENT) {
            let near = percent(all.near_percent());
            problems.push(format!("near hits were {near}, less than {NEAR_PERCENT} %"));
        }
        let errors = all.get(Count::Errors);
        if errors * READS_PER_ERROR > all.get(Count::Reads) {
            problems.push(format!("{} reads or changes failed", number(errors)));
        }
        self.unrepaired(&mut problems);
        self.too_little(&all, &mut problems);
        problems
    }

    /// Writers that were killed, and whose change was not seen, or that did not come back.
    fn unrepaired(&self, problems: &mut Vec<String>) {
        for kill in &self.kills {
            for (node, shown) in &kill.shown {
                if shown.is_none_or(|shown| shown > VISIBLE_AFTER_COMMIT) {
                    let (version, writer) = (kill.version, &kill.node);
                    problems.push(format!(
                        "{node} did not show change {version} of {writer}, which was killed, within {}",
                        time(Some(VISIBLE_AFTER_COMMIT))
                    ));
                }
            }
            if kill.back.is_none() {
                problems.push(format!("{} was killed and is not back", kill.node));
            }
        }
    }

    /// What has not happened often enough to mean something.
    fn too_little(&self, all: &Figures, problems: &mut Vec<String>) {
        let mut need = |what: &str, had: u64, least: u64| {
            if had < least {
                problems.push(format!(
                    "too little happened: {} {what}, at least {} are needed",
                    number(had),
                    number(least)
                ));
            }
        };
        for (count, least, what) in EACH_SECOND {
            need(what, all.get(count), least * self.seconds);
        }
        need("changes", all.changes(), CHANGES * self.seconds);
        for (count, what) in ONCE {
            need(what, all.get(count), 1);
        }
        for (name, figures) in &self.nodes {
            for (count, least, what) in EACH_NODE {
                let what = format!("{what} by {name}");
                need(&what, figures.get(count), least * self.seconds);
            }
        }
        need("kills of a writer", self.kills.len() as u64, 1);
        need("near copies compared", self.compared.near, COPIES);
        need("remote copies compared", self.compared.remote, COPIES);
        need("copies of absence compared", self.compared.negative, 1);
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let all = self.all();
        let get = |count| number(all.get(count));
        let at = |spread: &super::spread::Spread, percent| time(spread.percentile(percent));
        writeln!(
            out,
            "{} nodes, {}, {} s",
            self.nodes.len(),
            self.bus,
            self.seconds
        )?;
        writeln!(
            out,
            "  reads            {}, near hits {}, p50 {}, p99 {}; {} of shelves, {} of nothing, {} failed",
            get(Count::Reads),
            percent(all.near_percent()),
            at(&all.reads, 50),
            at(&all.reads, 99),
            get(Count::Shelves),
            get(Count::Negatives),
            get(Count::Errors),
        )?;
        writeln!(
            out,
            "  changes          {}: {} created, {} updated, {} removed, {} sales of a category",
            number(all.changes()),
            get(Count::Created),
            get(Count::Updated),
            get(Count::Removed),
            get(Count::Sales),
        )?;
        writeln!(
            out,
            "  invalidations    {} sent, {} received, p50 {} and p99 {} after the commit",
            get(Count::Sent),
            get(Count::Received),
            at(&all.heard, 50),
            at(&all.heard, 99),
        )?;
        writeln!(
            out,
            "  near caches      {} entries, {}; not used for {}, when nobody vouched for them",
            number(all.entries),
            size(all.bytes),
            time(Some(Duration::from_millis(all.get(Count::FencedMs)))),
        )?;
        for kill in &self.kills {
            writeln!(out, "  killed           {}", kill.text())?;
        }
        let stale = format!(
            "{}, of them {} of own changes",
            get(Count::Stale),
            get(Count::OwnStale)
        );
        writeln!(
            out,
            "  stale reads      {stale}; held to {} changes",
            get(Count::Judged)
        )?;
        writeln!(
            out,
            "  copies           {} compared with the database ({} near, {} behind, {} of nothing), {} differ",
            number(self.compared.all()),
            number(self.compared.near),
            number(self.compared.remote),
            number(self.compared.negative),
            number(self.compared.wrong),
        )?;
        self.write_verdict(out)
    }

    fn write_verdict(&self, out: &mut String) -> std::fmt::Result {
        for what in self.stale.iter().take(5).chain(&self.compared.described) {
            writeln!(out, "    {what}")?;
        }
        let problems = self.problems();
        if problems.is_empty() {
            return writeln!(
                out,
                "right: no stale read, and every copy agrees with the database"
            );
        }
        for problem in &problems {
            writeln!(out, "wrong: {problem}")?;
        }
        let all = self.all();
        match (self.is_control, all.get(Count::Stale)) {
            (false, _) => Ok(()),
            (true, 0) => writeln!(
                out,
                "the control has found nothing: do not believe the check"
            ),
            (true, _) => writeln!(
                out,
                "as it must be: with --bus off nobody is told of changes, and the check sees it"
            ),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let all = self.all();
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .map(|(name, figures)| {
                let mut node = super::show::figures(figures);
                node["name"] = json!(name);
                node
            })
            .collect();
        let us = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let kill = |kill: &Kill| {
            let shown = kill.shown.iter();
            let shown = shown.map(|(node, shown)| json!({ "name": node, "us": shown.map(us) }));
            json!({
                "name": kill.node,
                "product": kill.product,
                "change": kill.version,
                "shown_by": shown.collect::<Vec<_>>(),
                "back_us": kill.back.map(us),
            })
        };
        json!({ "summary": {
            "right": self.is_right(),
            "problems": self.problems(),
            "bus": self.bus,
            "seconds": self.seconds,
            "all": super::show::figures(&all),
            "nodes": nodes,
            "kills": self.kills.iter().map(kill).collect::<Vec<_>>(),
            "stale": all.get(Count::Stale),
            "stale_described": self.stale,
            "compared": self.compared,
            "outbox_waiting": self.waiting,
        }})
    }
}

impl Kill {
    fn text(&self) -> String {
        let shown = self.shown.iter();
        let shown = shown.map(|(node, shown)| format!("{node} after {}", time(*shown)));
        let shown: Vec<String> = shown.collect();
        format!(
            "{} between the commit of change {} and its invalidation; shown by {}; back after {}",
            self.node,
            self.version,
            shown.join(", "),
            time(self.back)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::figures::Counters;

    const ENOUGH: u64 = 100_000;

    fn counted(change: impl Fn(&Counters)) -> Figures {
        let counters = Counters::default();
        for count in Count::ALL {
            let is_bad = matches!(
                count,
                Count::Errors | Count::Stale | Count::OwnStale | Count::Unjudged
            );
            counters.set(count, if is_bad { 0 } else { ENOUGH });
        }
        change(&counters);
        counters.figures()
    }

    fn summary(change: impl Fn(&Counters)) -> Summary {
        let kill = Kill {
            node: "a".into(),
            product: 0,
            version: 9,
            shown: vec![("b".into(), Some(Duration::from_millis(120)))],
            back: Some(Duration::from_millis(300)),
        };
        Summary {
            bus: "mesh",
            is_control: false,
            seconds: 4,
            nodes: vec![
                ("a".into(), counted(&change)),
                ("b".into(), counted(&change)),
            ],
            kills: vec![kill],
            stale: Vec::new(),
            compared: Compared {
                near: ENOUGH,
                remote: ENOUGH,
                negative: 7,
                ..Compared::default()
            },
            waiting: 0,
        }
    }

    fn problems(change: impl Fn(&Counters)) -> Vec<String> {
        summary(change).problems()
    }

    #[test]
    fn a_run_in_which_enough_happened_and_nothing_was_stale_is_right() {
        let summary = summary(|_| {});
        assert_eq!(summary.problems(), [""; 0]);
        assert!(summary.text().contains("\nright: "), "{}", summary.text());
        assert_eq!(summary.json()["summary"]["right"], true);
    }

    #[test]
    fn each_count_that_is_too_small_or_too_great_is_told() {
        for count in Count::ALL {
            let problems = problems(|counters| {
                let least = count == Count::Errors || count == Count::Stale;
                counters.set(count, u64::from(least) * ENOUGH);
            });
            let may_be_anything = matches!(
                count,
                Count::OwnStale
                    | Count::Left
                    | Count::Sent
                    | Count::Unjudged
                    | Count::CarriedOut
                    | Count::FencedMs
            );
            assert_eq!(
                problems.is_empty(),
                may_be_anything,
                "{count:?} {problems:?}"
            );
        }
        let problems = problems(|counters| counters.set(Count::Stale, 1));
        assert_eq!(problems, ["2 stale reads"]);
    }

    #[test]
    fn copies_notices_and_kills_count_as_well() {
        let mut odd = summary(|_| {});
        odd.compared.wrong = 3;
        odd.waiting = 1;
        odd.kills[0].back = None;
        odd.kills[0].shown[0].1 = Some(Duration::from_millis(2_001));
        assert_eq!(
            odd.problems(),
            [
                "3 copies differ from the database",
                "1 notices are left in the outbox",
                "b did not show change 9 of a, which was killed, within 2.0 s",
                "a was killed and is not back",
            ]
        );
        let mut odd = summary(|_| {});
        odd.compared = Compared::default();
        odd.kills.clear();
        assert_eq!(odd.problems().len(), 4, "{:?}", odd.problems());
        let mut odd = summary(|counters| counters.set(Count::NearHits, ENOUGH * 79 / 100));
        assert_eq!(odd.problems(), ["near hits were 79.0 %, less than 80 %"]);
        odd.is_control = true;
        assert!(odd.text().contains("do not believe the check"));
    }
}
