//! What the server has after it was started again: nothing, or what nobody can vouch for.

use super::facts::Facts;
use super::findings::Findings;

const WHY: &str = "what a server reads from its disk when it starts may lack the last changes, so \
    the first to connect declares all of it void: persistence costs time and memory and saves \
    nothing here (in the plain layout, which has no versions, old values do come back)";
const ADVICE: &str = "turn it off (save \"\" and appendonly no); where the server also holds data \
    that must survive, give the cache a server of its own";

pub(super) fn check(facts: &Facts, findings: &mut Findings) {
    if let Some(said) = &facts.info_refused {
        findings.not_checked("persistence", format!("INFO is not permitted ({said})"));
        return;
    }
    let has_log = facts.info("aof_enabled") == Some("1");
    let dumps = facts.setting("save").map(str::trim);
    let what = match (has_log, dumps) {
        (true, _) => "every change is written to a file (appendonly yes)".to_owned(),
        (false, Some("")) => {
            findings.ok(
                "persistence",
                "none; a restarted server is empty, and values are loaded",
            );
            return;
        }
        (false, Some(when)) => format!("dumps are written (save {when})"),
        (false, None) => {
            findings.not_checked("persistence", facts.why_no_setting("save"));
            return;
        }
    };
    findings.warning("persistence", what, WHY, ADVICE);
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    #[test]
    fn whatever_comes_back_from_a_disk_is_a_warning() {
        use Level::{NotChecked, Ok, Warning};
        for (aof, settings, expected) in [
            ("0", &[("save", "")][..], Ok),
            ("0", &[("save", "3600 1 300 100")], Warning),
            ("0", &[], NotChecked),
            ("1", &[("save", "")], Warning),
            ("1", &[], Warning),
        ] {
            let mut findings = Findings::default();
            let facts = Facts::of(&[("aof_enabled", aof)], settings);
            check(&facts, &mut findings);
            assert_eq!(findings.list[0].level, expected, "{aof} {settings:?}");
        }
    }
}
