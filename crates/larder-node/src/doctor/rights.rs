//! What the user may not do, by trying it.

use larder::redis::{Denied, Inspector, Purpose};
use larder_core::error::Result;

use super::findings::Findings;

pub(super) async fn check(inspector: &Inspector, findings: &mut Findings) -> Result<()> {
    let denied = inspector.denied().await?;
    judge(&denied, findings);
    Ok(())
}

fn judge(denied: &[Denied], findings: &mut Findings) {
    let of = |purpose| {
        denied
            .iter()
            .filter(move |denied| denied.purpose == purpose)
    };
    if of(Purpose::Scripts).next().is_none() {
        findings.ok("scripts", "EVAL and EVALSHA are permitted");
    }
    for (purpose, check, why) in [
        (
            Purpose::Scripts,
            "scripts",
            "every change is a script: nothing can be written",
        ),
        (
            Purpose::Values,
            "rights",
            "values can be read or written in part only, and which of them fail depends on what is \
             asked for",
        ),
        (
            Purpose::Bus,
            "bus rights",
            "processes with near copies cannot hear of changes that others make: they ask the \
             server for every value, or hear of changes late",
        ),
        (
            Purpose::Listing,
            "listing",
            "keys cannot be listed, counted or cleared",
        ),
    ] {
        let commands: Vec<&str> = of(purpose).map(|denied| denied.command).collect();
        let Some(first) = of(purpose).next() else {
            continue;
        };
        let what = format!("refused: {} ({})", commands.join(" "), first.said);
        let advice = format!(
            "widen the rules of the user: +{} and the keys and channels that begin with {}",
            commands.join(" +").to_lowercase(),
            "\"\\0s\" (as a pattern ~?s* &?s*)"
        );
        if purpose == Purpose::Listing {
            findings.warning(check, what, why, advice);
        } else {
            findings.problem(check, what, why, advice);
        }
    }
    if denied.is_empty() {
        findings.ok(
            "rights",
            "the user may do all that is needed, the bus included",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    fn found(denied: &[(&'static str, Purpose)]) -> Vec<(&'static str, Level)> {
        let denied: Vec<Denied> = denied
            .iter()
            .map(|(command, purpose)| Denied {
                command,
                purpose: *purpose,
                said: "NOPERM no".into(),
            })
            .collect();
        let mut findings = Findings::default();
        judge(&denied, &mut findings);
        findings.list.iter().map(|f| (f.check, f.level)).collect()
    }

    #[test]
    fn what_is_missing_is_told_by_what_it_is_for() {
        use Level::{Ok, Problem, Warning};
        assert_eq!(found(&[]), [("scripts", Ok), ("rights", Ok)]);
        let some = [("EVAL", Purpose::Scripts), ("SCAN", Purpose::Listing)];
        assert_eq!(found(&some), [("scripts", Problem), ("listing", Warning)]);
        let some = [("GET", Purpose::Values), ("XADD", Purpose::Bus)];
        let expected = [
            ("scripts", Ok),
            ("rights", Problem),
            ("bus rights", Problem),
        ];
        assert_eq!(found(&some), expected);
    }
}
