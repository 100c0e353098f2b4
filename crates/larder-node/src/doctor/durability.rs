//! What the server has after it was started again. Less than it had is well; older is not.

use super::facts::Facts;
use super::findings::Findings;

const WHY: &str = "after a restart the server goes on with what it had when that was written: values \
    that were changed or removed since then are back, as fresh as they were; near copies are dropped, \
    but reads find the old values until they end";
const ADVICE: &str = "turn persistence off (save \"\" and appendonly no), or have whatever restarts \
    the server run FLUSHALL first; where the server holds data that must survive, give the cache a \
    server of its own";

pub(super) fn check(facts: &Facts, findings: &mut Findings) {
    if let Some(said) = &facts.info_refused {
        findings.not_checked("persistence", format!("INFO is not permitted ({said})"));
        return;
    }
    let log = facts.info("aof_enabled") == Some("1");
    let dumps = facts.setting("save").map(str::trim);
    match (log, dumps) {
        (true, _) => append_only(facts, findings),
        (false, Some("")) => {
            findings.ok(
                "persistence",
                "none; a restarted server is empty, and values are loaded",
            );
        }
        (false, Some(when)) => findings.warning(
            "persistence",
            format!("dumps are written (save {when})"),
            WHY,
            ADVICE,
        ),
        (false, None) => findings.not_checked("persistence", facts.why_no_setting("save")),
    }
}

fn append_only(facts: &Facts, findings: &mut Findings) {
    match facts.setting("appendfsync") {
        Some("always") => {
            let what = "every change is on disk before it is acknowledged (appendfsync always)";
            findings.ok("persistence", what);
        }
        Some(other) => findings.warning(
            "persistence",
            format!("changes reach the disk after they are acknowledged (appendfsync {other})"),
            WHY,
            ADVICE,
        ),
        None => findings.warning(
            "persistence",
            "changes are written to a file (appendonly yes); how soon could not be asked",
            WHY,
            ADVICE,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    #[test]
    fn what_may_come_back_older_is_a_warning() {
        use Level::{NotChecked, Ok, Warning};
        for (aof, settings, expected) in [
            ("0", &[("save", "")][..], Ok),
            ("0", &[("save", "3600 1 300 100")], Warning),
            ("0", &[], NotChecked),
            ("1", &[("save", ""), ("appendfsync", "always")], Ok),
            ("1", &[("save", ""), ("appendfsync", "everysec")], Warning),
            ("1", &[], Warning),
        ] {
            let mut findings = Findings::default();
            let facts = Facts::of(&[("aof_enabled", aof)], settings);
            check(&facts, &mut findings);
            assert_eq!(findings.list[0].level, expected, "{aof} {settings:?}");
        }
    }
}
