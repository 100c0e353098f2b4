//! What kind of server it is, how old, and whether it is one that stands alone.

use super::facts::Facts;
use super::findings::Findings;

const LEAST: (u64, u64) = (6, 0);
const RECOMMENDED: (u64, u64) = (6, 2);

pub(super) fn check(facts: &Facts, findings: &mut Findings) {
    if let Some(said) = &facts.info_refused {
        findings.not_checked("version", format!("INFO is not permitted ({said})"));
        return;
    }
    let valkey = facts.info("valkey_version");
    let redis = facts.info("redis_version").unwrap_or("unknown");
    match valkey {
        Some(version) => findings.ok("version", format!("Valkey {version}")),
        None => judge(redis, findings),
    }
    match facts.info("redis_mode") {
        None | Some("standalone") => {
            findings.ok("mode", "a server that stands alone, or with replicas");
        }
        Some("cluster") => findings.problem(
            "mode",
            "the server is part of a Redis Cluster",
            "keys of one command, and the log beside them, would have to be on one node",
            "use a server with cluster-enabled no; clusters are not supported yet",
        ),
        Some(other) => findings.problem(
            "mode",
            format!("the server runs as {other}"),
            "it keeps no values",
            "put the address of the primary itself into the URL; Sentinel is not supported yet",
        ),
    }
}

fn judge(version: &str, findings: &mut Findings) {
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
        findings.warning(
            "version",
            format!("the server calls its version {version:?}"),
            "Larder is tested with Redis and Valkey; others may differ where it matters",
            "use Redis 6.2 or later, or Valkey",
        );
        return;
    };
    let advice = "use Redis 6.2 or later, or Valkey";
    if (major, minor) < LEAST {
        findings.problem(
            "version",
            format!("Redis {version} is too old"),
            "it lacks commands and ACL rules that Larder uses",
            advice,
        );
    } else if (major, minor) < RECOMMENDED {
        findings.warning(
            "version",
            format!("Redis {version} works, but gets no more repairs"),
            "known weaknesses of it stay open",
            advice,
        );
    } else {
        findings.ok("version", format!("Redis {version}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    fn level(info: &[(&str, &str)], check: &str) -> Level {
        let mut findings = Findings::default();
        super::check(&Facts::of(info, &[]), &mut findings);
        let found = findings.list.iter().find(|found| found.check == check);
        found.unwrap().level
    }

    #[test]
    fn versions_are_numbers_and_not_texts() {
        use Level::{Ok, Problem, Warning};
        for (version, expected) in [
            ("5.0.14", Problem),
            ("6.0.16", Warning),
            ("6.2.0", Ok),
            ("7.0.15", Ok),
            ("10.0.1", Ok),
            ("unstable", Warning),
        ] {
            assert_eq!(level(&[("redis_version", version)], "version"), expected);
        }
        let valkey = [("redis_version", "7.2.4"), ("valkey_version", "8.0.1")];
        assert_eq!(level(&valkey, "version"), Ok);
    }

    #[test]
    fn only_servers_that_stand_alone_will_do() {
        let mode = |mode| level(&[("redis_mode", mode)], "mode");
        assert_eq!(mode("standalone"), Level::Ok);
        assert_eq!(mode("cluster"), Level::Problem);
        assert_eq!(mode("sentinel"), Level::Problem);
    }
}
