//! What the server's clock says, beside this machine's, and whether they run at one speed.

use std::time::Duration;

use larder::redis::{Answer, Inspector};
use larder_core::Runtime;
use larder_core::error::Result;
use tokio::time::Instant;

use super::findings::Findings;

const SAMPLES: usize = 5;

/// More than this between two clocks confuses whoever reads their logs.
const APART: Duration = Duration::from_secs(2);

/// A part by which speeds may differ, in percent. Clocks that are being corrected differ by 0.05.
const SPEED: f64 = 5.0;

/// A moment, on all clocks. In microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    server: u64,
    wall: u64,
    /// This machine's, which nobody sets. In the middle between question and answer.
    steady: Instant,
    round_trip: Duration,
}

/// The first look; `None` if the user may not ask.
pub(super) async fn begin(inspector: &Inspector, runtime: &dyn Runtime) -> Result<Option<Sample>> {
    sample(inspector, runtime).await
}

/// The second look, some time after the first.
pub(super) async fn end(
    first: Option<Sample>,
    inspector: &Inspector,
    runtime: &dyn Runtime,
    findings: &mut Findings,
) -> Result<()> {
    let last = sample(inspector, runtime).await?;
    match (first, last) {
        (Some(first), Some(last)) => judge(first, last, findings),
        _ => findings.not_checked("clock", "TIME is not permitted"),
    }
    Ok(())
}

/// The best of a few: the shorter the round trip, the less is open.
async fn sample(inspector: &Inspector, runtime: &dyn Runtime) -> Result<Option<Sample>> {
    let mut best: Option<Sample> = None;
    for _ in 0..SAMPLES {
        let asked = Instant::now();
        let answer = inspector.ask(&["TIME"]).await?;
        let round_trip = asked.elapsed();
        let wall = runtime.wall().0 * 1_000;
        let Some(server) = microseconds(&answer) else {
            return Ok(None);
        };
        let half = round_trip / 2;
        let sample = Sample {
            server,
            wall: wall.saturating_sub(half.as_micros() as u64),
            steady: asked + half,
            round_trip,
        };
        if best.is_none_or(|best| round_trip < best.round_trip) {
            best = Some(sample);
        }
    }
    Ok(best)
}

fn microseconds(answer: &Answer) -> Option<u64> {
    let Answer::List(parts) = answer else {
        return None;
    };
    let number = |at: usize| match parts.get(at)? {
        Answer::Text(text) => std::str::from_utf8(text).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    Some(number(0)? * 1_000_000 + number(1)?)
}

fn judge(first: Sample, last: Sample, findings: &mut Findings) {
    let apart = Duration::from_micros(last.server.abs_diff(last.wall));
    let side = if last.server > last.wall {
        "ahead of"
    } else {
        "behind"
    };
    let round_trip = last.round_trip;
    if apart > APART {
        findings.warning(
            "clock",
            format!("the server's clock is {apart:.1?} {side} this machine's"),
            "no promise rests on clocks that agree, but lives given as points in time (EXPIREAT) \
             and the times in logs are off by that much",
            "let both machines follow a time service",
        );
        return;
    }
    if let Some(percent) = faster(first, last) {
        findings.problem(
            "clock",
            format!("the server's clock runs at another speed, by {percent:.0} %"),
            "near copies are used for a second after an answer, counted here, and lives are counted \
             there: both must mean the same by a second",
            "look at the clock source of both machines, and whether one of them is paused now and \
             then",
        );
        return;
    }
    findings.ok(
        "clock",
        format!("{apart:.1?} {side} this machine's; an answer takes {round_trip:.1?}"),
    );
}

/// By how much the clocks differ in speed, in percent, if that is more than chance.
fn faster(first: Sample, last: Sample) -> Option<f64> {
    let here = last.steady.saturating_duration_since(first.steady);
    let there = Duration::from_micros(last.server.abs_diff(first.server));
    // How wrong both moments may be.
    let doubt = (first.round_trip + last.round_trip) / 2;
    let apart = here.abs_diff(there).saturating_sub(doubt);
    let percent = apart.as_secs_f64() * 100.0 / here.as_secs_f64().max(1e-9);
    let ran_back = last.server < first.server;
    (percent > SPEED || ran_back).then_some(percent)
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    const MS: u64 = 1_000;

    fn level(server: [u64; 2], wall: u64, elapsed: u64) -> Level {
        let start = Instant::now();
        let sample = |server, passed| Sample {
            server,
            wall,
            steady: start + Duration::from_micros(passed),
            round_trip: Duration::from_micros(200),
        };
        let mut findings = Findings::default();
        judge(
            sample(server[0], 0),
            sample(server[1], elapsed),
            &mut findings,
        );
        findings.list[0].level
    }

    #[test]
    fn clocks_may_be_apart_a_little_and_run_at_one_speed() {
        use Level::{Ok, Problem, Warning};
        let hour = 3_600_000 * MS;
        assert_eq!(
            level([hour, hour + 100 * MS], hour + 100 * MS, 100 * MS),
            Ok
        );
        assert_eq!(
            level([hour, hour + 101 * MS], hour + 1_500 * MS, 100 * MS),
            Ok
        );
        assert_eq!(
            level([hour, hour + 100 * MS], hour + 5_000 * MS, 100 * MS),
            Warning
        );
        assert_eq!(level([hour, hour + 100 * MS], hour, 200 * MS), Problem);
        assert_eq!(level([hour, hour - 100 * MS], hour, 100 * MS), Problem);
    }

    #[test]
    fn a_time_is_two_numbers() {
        let text = |text: &'static str| Answer::Text(text.into());
        let time = Answer::List(vec![text("17"), text("5")]);
        assert_eq!(microseconds(&time), Some(17_000_005));
        assert_eq!(microseconds(&Answer::Refused("NOPERM".into())), None);
    }
}
