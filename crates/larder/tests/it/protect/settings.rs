//! Settings that make no sense, and those in force.

use std::time::Duration;

use larder::{Builder, ErrorKind, LoadLimit, Ramp, Timeouts};

use crate::support::World;

#[tokio::test]
async fn settings_of_protection_that_make_no_sense_are_refused() {
    let world = World::new();
    let both = || world.both().stale_for("1h");
    let timeouts = |it: Timeouts| both().timeouts(it);
    let limit = |it: LoadLimit| both().load_limit(it);
    let cases: Vec<(Builder<u64, u64>, &str)> = vec![
        (
            timeouts(Timeouts::new().soft("soon")),
            "soft timeout: \"soon\"",
        ),
        (
            timeouts(Timeouts::new().hard("0s")),
            "hard timeout: must be",
        ),
        (
            timeouts(Timeouts::new().soft("2s").hard("2s")),
            "never passes before",
        ),
        (timeouts(Timeouts::new().behind_for("0s")), "behind_for"),
        (
            world.both().timeouts(Timeouts::new().soft("1s")),
            "add .stale_for",
        ),
        (world.both().throttle("1s"), "add .stale_for"),
        (both().throttle("later"), "throttle: \"later\""),
        (limit(LoadLimit::new(0)), "load_limit: must be"),
        (
            limit(LoadLimit::new(1).queue_for("0s")),
            "queue_for: must be",
        ),
        (
            limit(LoadLimit::new(1).ramp(Ramp::from(0.0))),
            "the rate is 0",
        ),
        (
            limit(LoadLimit::new(1).ramp(Ramp::from(1.0).over("0s"))),
            "ramp over",
        ),
        (
            limit(LoadLimit::new(1).ramp(Ramp::from(1.0).double_every("x"))),
            "ramp double_every",
        ),
    ];
    for (builder, expected) in cases {
        let error = builder.build().await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let set = timeouts(Timeouts::new().soft("1s").hard("2s").behind(3)).throttle("4s");
    let policy = set.build().await.unwrap().policy();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        (policy.timeouts.soft, policy.timeouts.hard),
        (seconds(1), seconds(2))
    );
    assert_eq!(
        (policy.timeouts.behind, policy.throttle),
        (3, Duration::from_secs(4))
    );
}
