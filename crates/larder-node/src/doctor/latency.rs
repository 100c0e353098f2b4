//! How long the server takes to answer.

use std::time::Duration;

use larder::redis::Inspector;
use larder_core::error::Result;
use tokio::time::Instant;

use super::findings::Findings;

const PINGS: usize = 100;

/// LIMIT: a far server is asked less often.
const PATIENCE: Duration = Duration::from_secs(3);

/// Commands are given up after this.
const TIME_LIMIT: Duration = Duration::from_millis(500);

/// From here on every read beyond the near cache is felt by people.
const SLOW: Duration = Duration::from_millis(50);

pub(super) async fn check(inspector: &Inspector, findings: &mut Findings) -> Result<()> {
    let began = Instant::now();
    let mut took = Vec::with_capacity(PINGS);
    while took.len() < PINGS && began.elapsed() < PATIENCE {
        let asked = Instant::now();
        // A refusal takes as long as an answer.
        inspector.ask(&["PING"]).await?;
        took.push(asked.elapsed());
    }
    judge(took, findings);
    Ok(())
}

fn judge(mut took: Vec<Duration>, findings: &mut Findings) {
    took.sort();
    let at = |percent: usize| {
        took.get((took.len() * percent / 100).min(took.len() - 1))
            .copied()
    };
    let (Some(half), Some(most)) = (at(50), at(99)) else {
        return;
    };
    let what = format!("p50 {half:.1?}, p99 {most:.1?} of {} answers", took.len());
    let advice = "look for slow commands (SLOWLOG), saves to disk, an overloaded machine, and the \
                  network between";
    if most >= TIME_LIMIT / 2 {
        findings.problem(
            "latency",
            what,
            "commands are given up after 500 ms, and near copies are used only while the server has \
             answered within the last second",
            advice,
        );
    } else if most >= SLOW {
        findings.warning(
            "latency",
            what,
            "reads beyond the near cache take that long",
            advice,
        );
    } else {
        findings.ok("latency", what);
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    #[test]
    fn one_slow_answer_of_a_hundred_is_seen() {
        use Level::{Ok, Problem, Warning};
        for (slowest, expected) in [(1, Ok), (60, Warning), (400, Problem)] {
            let mut took = vec![Duration::from_micros(100); 99];
            took.push(Duration::from_millis(slowest));
            let mut findings = Findings::default();
            judge(took, &mut findings);
            assert_eq!(findings.list[0].level, expected, "{slowest}");
        }
    }
}
