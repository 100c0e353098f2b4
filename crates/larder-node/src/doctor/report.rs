//! The findings for people, and for programs.

use std::fmt::Write;

use serde_json::json;

use super::findings::{Findings, Level, Verdict};

/// One line for each finding; what is wrong has two more.
pub(super) fn text(server: &str, findings: &Findings) -> String {
    let mut out = format!("{server}\n\n");
    for found in &findings.list {
        let (level, check) = (found.level.as_str(), found.check);
        // Writing to a text cannot fail.
        let _ = writeln!(out, "{level:<12}{check:<13}{}", found.what);
        for (label, line) in [("why", &found.why), ("do", &found.advice)] {
            if !line.is_empty() {
                let _ = writeln!(out, "{:<25}{label}: {line}", "");
            }
        }
    }
    let count = |level: &Level| match findings.count(*level) {
        0 => None,
        many if *level == Level::Ok || *level == Level::NotChecked || many == 1 => {
            Some(format!("{many} {}", level.as_str()))
        }
        many => Some(format!("{many} {}s", level.as_str())),
    };
    let counts: Vec<String> = Level::ALL.iter().filter_map(count).collect();
    let _ = writeln!(out, "\n{}", counts.join(", "));
    out
}

/// The same as one JSON object.
pub(super) fn json(server: &str, findings: &Findings) -> String {
    let list: Vec<_> = findings
        .list
        .iter()
        .map(|found| {
            json!({
                "check": found.check,
                "level": found.level.as_str().replace(' ', "_"),
                "what": found.what,
                "why": found.why,
                "do": found.advice,
            })
        })
        .collect();
    let verdict = match findings.verdict() {
        Verdict::Fine => "ok",
        Verdict::Problem => "problem",
        Verdict::Unreachable => "unreachable",
    };
    json!({ "server": server, "verdict": verdict, "findings": list }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let mut findings = Findings::default();
        findings.ok("address", "it is there");
        findings.warning("clock", "it is late", "who knows", "wait");
        findings.not_checked("memory", "who knows");
        findings
    }

    #[test]
    fn people_get_lines_and_a_sum() {
        let expected = "\
redis://a/0

ok          address      it is there
warning     clock        it is late
                         why: who knows
                         do: wait
not checked memory       who knows

1 warning, 1 ok, 1 not checked
";
        assert_eq!(text("redis://a/0", &findings()), expected);
    }

    #[test]
    fn programs_get_one_object() {
        let object: serde_json::Value =
            serde_json::from_str(&json("redis://a/0", &findings())).unwrap();
        assert_eq!(object["verdict"], "ok");
        assert_eq!(object["findings"][1]["do"], "wait");
        assert_eq!(object["findings"][2]["level"], "not_checked");
        let mut worse = findings();
        worse.problem("x", "y", "z", "");
        assert_eq!(worse.verdict(), Verdict::Problem);
        worse.unreachable("x", "y", "z", "");
        assert_eq!(worse.verdict(), Verdict::Unreachable);
    }
}
