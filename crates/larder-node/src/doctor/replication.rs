//! Is it the primary, and what happens to changes when it is replaced by a replica?

use super::facts::Facts;
use super::findings::Findings;

/// A replica that is further behind does not count, in seconds.
const LAG: u64 = 10;

pub(super) fn check(facts: &Facts, findings: &mut Findings) {
    if let Some(said) = &facts.info_refused {
        findings.not_checked("role", format!("INFO is not permitted ({said})"));
        return;
    }
    if facts.info("loading") == Some("1") {
        findings.problem(
            "role",
            "the server is still loading its data",
            "it answers nothing until it is done",
            "wait, and try again",
        );
    }
    if facts.info("role") == Some("slave") {
        let primary = match (facts.info("master_host"), facts.info("master_port")) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            _ => "its primary".into(),
        };
        findings.problem(
            "role",
            format!("the server is a replica of {primary}"),
            "it refuses every change, and what it says may be behind",
            format!("put the address of the primary into the URL: {primary}"),
        );
        return;
    }
    let replicas = facts.number("connected_slaves").unwrap_or(0);
    let needed = facts.setting("min-replicas-to-write");
    if replicas == 0 && needed.is_none_or(|needed| needed == "0") {
        let what = "a primary without replicas; when it fails, values are loaded again";
        findings.ok("role", what);
        return;
    }
    findings.ok("role", format!("a primary with {replicas} replicas"));
    quorum(facts, replicas, findings);
}

fn quorum(facts: &Facts, replicas: u64, findings: &mut Findings) {
    let number = |name| {
        facts
            .setting(name)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let Some(needed) = number("min-replicas-to-write") else {
        findings.not_checked("replicas", facts.why_no_setting("min-replicas-to-write"));
        return;
    };
    let lag = number("min-replicas-max-lag").unwrap_or(LAG);
    let good = facts.number("min_slaves_good_slaves").unwrap_or(replicas);
    let advice = "set min-replicas-to-write 1 and min-replicas-max-lag 10";
    if needed == 0 {
        findings.warning(
            "replicas",
            "min-replicas-to-write is 0",
            "a primary that is cut off from its replicas goes on taking changes after one of them \
             has been promoted; until it is told, processes on its side of the cut see each other's \
             changes only, and those are lost",
            advice,
        );
    } else if good < needed {
        findings.problem(
            "replicas",
            format!(
                "{good} of the {needed} replicas are there that min-replicas-to-write asks for"
            ),
            "the server refuses every change (NOREPLICAS)",
            "bring the replicas back, or lower min-replicas-to-write",
        );
    } else if lag == 0 || lag > LAG {
        findings.warning(
            "replicas",
            format!("min-replicas-max-lag is {lag} s"),
            "a primary that is cut off goes on taking changes for that long (0: for ever)",
            advice,
        );
    } else {
        findings.ok(
            "replicas",
            format!(
                "a primary that is cut off takes changes for {lag} s at most; what a replica has not \
                 heard of when it is promoted is lost"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    fn levels(info: &[(&str, &str)], settings: &[(&'static str, &str)]) -> Vec<Level> {
        let mut findings = Findings::default();
        check(&Facts::of(info, settings), &mut findings);
        findings.list.iter().map(|found| found.level).collect()
    }

    #[test]
    fn a_replica_and_a_server_that_loads_will_not_do() {
        use Level::{Ok, Problem};
        assert_eq!(levels(&[("role", "slave")], &[]), [Problem]);
        assert_eq!(levels(&[("role", "master")], &[]), [Ok]);
        assert_eq!(
            levels(&[("role", "master"), ("loading", "1")], &[]),
            [Problem, Ok]
        );
    }

    #[test]
    fn a_primary_with_replicas_must_know_when_it_is_alone() {
        use Level::{NotChecked, Ok, Problem, Warning};
        let info = [("role", "master"), ("connected_slaves", "2")];
        for (needed, lag, expected) in [
            ("0", "10", Warning),
            ("1", "10", Ok),
            ("1", "60", Warning),
            ("1", "0", Warning),
            ("3", "10", Problem),
        ] {
            let settings = [
                ("min-replicas-to-write", needed),
                ("min-replicas-max-lag", lag),
            ];
            assert_eq!(levels(&info, &settings), [Ok, expected], "{needed} {lag}");
        }
        assert_eq!(levels(&info, &[]), [Ok, NotChecked]);
        let alone = [("role", "master"), ("connected_slaves", "0")];
        assert_eq!(levels(&alone, &[("min-replicas-to-write", "0")]), [Ok]);
        let settings = [("min-replicas-to-write", "1")];
        assert_eq!(levels(&alone, &settings), [Ok, Problem]);
    }
}
