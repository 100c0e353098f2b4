//! What the server does when its memory ends.

use larder_core::units::show_bytes;

use super::facts::Facts;
use super::findings::Findings;

/// From this part of the limit on, in percent, a server that evicts nothing is as good as full.
const NEARLY_FULL: u64 = 90;

pub(super) fn check(facts: &Facts, findings: &mut Findings) {
    let (Some(limit), Some(policy)) = (facts.number("maxmemory"), facts.info("maxmemory_policy"))
    else {
        let why = facts.info_refused.as_deref().unwrap_or("INFO does not say");
        findings.not_checked("eviction", format!("maxmemory and its policy: {why}"));
        return;
    };
    let used = facts.number("used_memory").unwrap_or(0);
    if limit == 0 {
        findings.warning(
            "eviction",
            "the server has no limit of memory (maxmemory 0)",
            "it grows until the system kills it, and then everybody loads at once",
            "set maxmemory to what it may have, and maxmemory-policy volatile-lfu",
        );
        return;
    }
    let shown = show_bytes(limit);
    let percent = used.saturating_mul(100) / limit;
    match policy.split_once('-') {
        Some(("volatile", _)) => findings.ok(
            "eviction",
            format!("{policy} at {shown}, {percent} % used; Larder's own keys are never evicted"),
        ),
        Some(("allkeys", _)) => findings.warning(
            "eviction",
            format!("{policy} evicts any key at {shown}, also Larder's own"),
            "when the log of changes or the state of the shard is evicted, every process drops all \
             of its near copies at once and loads again; nothing stale is served for that",
            "set maxmemory-policy volatile-lfu: values have an end, Larder's own keys have none \
             (values without a ttl are then not evicted either)",
        ),
        _ if percent >= NEARLY_FULL => findings.problem(
            "eviction",
            format!("{percent} % of {shown} are used, and nothing is evicted ({policy})"),
            "a full server refuses every change, invalidations among them: changes of the source \
             can no longer be told",
            "set maxmemory-policy volatile-lfu, or give the server more memory",
        ),
        _ => findings.warning(
            "eviction",
            format!("nothing is evicted ({policy}) at {shown}, {percent} % used"),
            "once full, the server refuses every change, invalidations among them",
            "set maxmemory-policy volatile-lfu",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    #[test]
    fn only_values_may_be_evicted() {
        use Level::{NotChecked, Ok, Problem, Warning};
        for (limit, used, policy, expected) in [
            ("0", "5", "noeviction", Warning),
            ("100", "5", "volatile-lru", Ok),
            ("100", "99", "volatile-ttl", Ok),
            ("100", "5", "allkeys-lru", Warning),
            ("100", "5", "noeviction", Warning),
            ("100", "95", "noeviction", Problem),
        ] {
            let info = [
                ("maxmemory", limit),
                ("used_memory", used),
                ("maxmemory_policy", policy),
            ];
            let mut findings = Findings::default();
            check(&Facts::of(&info, &[]), &mut findings);
            assert_eq!(findings.list[0].level, expected, "{limit} {used} {policy}");
        }
        let mut findings = Findings::default();
        check(&Facts::default(), &mut findings);
        assert_eq!(findings.list[0].level, NotChecked);
    }
}
