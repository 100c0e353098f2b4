//! How many connections the server takes, and what becomes of subscribers that fall behind.

use larder_core::units::show_bytes;

use super::facts::Facts;
use super::findings::Findings;

/// A subscriber with a smaller buffer is cut off by an ordinary burst of changes.
const SMALL: u64 = 1 << 20;

pub(super) fn check(facts: &Facts, needed: usize, findings: &mut Findings) {
    clients(facts, needed, findings);
    buffers(facts, findings);
}

fn clients(facts: &Facts, needed: usize, findings: &mut Findings) {
    let setting = facts
        .setting("maxclients")
        .and_then(|text| text.parse().ok());
    let Some(most) = setting.or(facts.number("maxclients")) else {
        findings.not_checked("clients", facts.why_no_setting("maxclients"));
        return;
    };
    let open = facts.number("connected_clients").unwrap_or(0);
    let free = most.saturating_sub(open);
    let needed = needed as u64;
    let rejected = facts.number("rejected_connections").unwrap_or(0);
    let advice = "raise maxclients (and the limit of open files of the server)";
    if free < needed {
        findings.problem(
            "clients",
            format!("{open} of {most} connections are taken; a process needs up to {needed}"),
            "the server turns connections away that a node needs",
            advice,
        );
    } else if rejected > 0 {
        findings.warning(
            "clients",
            format!("{rejected} connections were turned away since the server was started"),
            "the limit of connections has been too low for somebody",
            advice,
        );
    } else {
        findings.ok(
            "clients",
            format!("{open} of {most} connections are taken; a process needs up to {needed}"),
        );
    }
}

fn buffers(facts: &Facts, findings: &mut Findings) {
    let name = "client-output-buffer-limit";
    let Some(setting) = facts.setting(name) else {
        findings.not_checked("subscribers", facts.why_no_setting(name));
        return;
    };
    let Some((hard, soft)) = pubsub(setting) else {
        findings.not_checked("subscribers", format!("{name} is {setting:?}"));
        return;
    };
    let least = [hard, soft].into_iter().filter(|limit| *limit > 0).min();
    match least {
        _ if hard == 0 => findings.warning(
            "subscribers",
            "a subscriber that does not read may hold any amount of the server's memory",
            "one frozen process can fill the server",
            format!("set {name} pubsub 32mb 8mb 60"),
        ),
        Some(least) if least < SMALL => findings.warning(
            "subscribers",
            format!(
                "a subscriber is cut off when {} wait for it",
                show_bytes(least)
            ),
            "a burst of changes ends subscriptions; nothing is lost, but near copies hear of the \
             changes up to a quarter of a second later",
            format!("set {name} pubsub 32mb 8mb 60"),
        ),
        _ => findings.ok(
            "subscribers",
            format!(
                "cut off when {} wait for one; the log has what it missed",
                show_bytes(hard)
            ),
        ),
    }
}

/// The hard and the soft limit of subscribers, from groups of four words.
fn pubsub(setting: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = setting.split_whitespace().collect();
    let group = words.chunks(4).find(|group| group[0] == "pubsub")?;
    Some((group.get(1)?.parse().ok()?, group.get(2)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    fn levels(info: &[(&str, &str)], settings: &[(&'static str, &str)]) -> Vec<Level> {
        let mut findings = Findings::default();
        check(&Facts::of(info, settings), 22, &mut findings);
        findings.list.iter().map(|found| found.level).collect()
    }

    #[test]
    fn there_must_be_room_for_a_process() {
        use Level::{NotChecked, Ok, Problem, Warning};
        for (open, rejected, expected) in
            [("5", "0", Ok), ("5", "3", Warning), ("90", "0", Problem)]
        {
            let info = [
                ("connected_clients", open),
                ("rejected_connections", rejected),
            ];
            assert_eq!(
                levels(&info, &[("maxclients", "100")])[0],
                expected,
                "{open} {rejected}"
            );
        }
        assert_eq!(levels(&[("maxclients", "100")], &[])[0], Ok);
        assert_eq!(levels(&[], &[]), [NotChecked, NotChecked]);
    }

    #[test]
    fn buffers_of_subscribers_have_a_limit_that_is_not_small() {
        use Level::{NotChecked, Ok, Warning};
        for (pubsub, expected) in [
            ("pubsub 33554432 8388608 60", Ok),
            ("pubsub 33554432 0 0", Ok),
            ("pubsub 0 0 0", Warning),
            ("pubsub 32768 8192 60", Warning),
            ("pubsub", NotChecked),
            ("", NotChecked),
        ] {
            let setting = format!("normal 0 0 0 slave 268435456 67108864 60 {pubsub}");
            let settings = [("client-output-buffer-limit", setting.as_str())];
            assert_eq!(levels(&[], &settings)[1], expected, "{pubsub}");
        }
    }
}
