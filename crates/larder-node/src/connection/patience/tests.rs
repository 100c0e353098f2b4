//! Deadlines over a clock that stands where the test puts it.

use super::*;
use crate::settings::Identity;

const SECOND: u64 = 1_000_000_000;

fn settings() -> RespSettings {
    RespSettings {
        addr: "127.0.0.1:0".parse().expect("an address"),
        identity: Identity {
            server: "redis".to_owned(),
            version: "7.4.0".to_owned(),
        },
        password: None,
        max_clients: 10,
        max_value: 1 << 20,
        max_args: 100,
        idle_timeout: Some(Duration::from_secs(300)),
        frame_timeout: Duration::from_secs(10),
        max_output: 1 << 20,
    }
}

fn at(seconds: u64) -> Mono {
    Mono(seconds * SECOND)
}

const RESTING: Waiting = Waiting {
    authenticated: true,
    unread: false,
    buffered: 0,
    holds_memory: false,
};

#[test]
fn a_resting_connection_waits_for_the_idle_deadline_only() {
    let patience = Patience::new(&settings(), at(1));
    assert_eq!(patience.deadline(&RESTING), at(301));
    assert!(patience.check(at(300), &RESTING).is_ok());
    assert!(matches!(patience.check(at(301), &RESTING), Err(End::Idle)));
    let holding = Waiting {
        holds_memory: true,
        ..RESTING
    };
    assert_eq!(patience.deadline(&holding), at(3), "to give memory back");
    assert!(patience.check(at(3), &holding).is_ok());
}

#[test]
fn a_command_may_take_longer_the_more_of_it_has_come() {
    let mut patience = Patience::new(&settings(), at(0));
    patience.ran(at(5), true, true);
    // More bytes of the same command do not begin the time anew.
    patience.received(at(9));
    patience.ran(at(9), false, true);
    let state = Waiting {
        buffered: 3 << 20,
        ..RESTING
    };
    assert_eq!(patience.deadline(&state), at(5 + 10 + 3));
    assert!(matches!(
        patience.check(at(18), &state),
        Err(End::SlowCommand)
    ));
    patience.ran(at(18), true, false);
    assert!(patience.check(at(18), &RESTING).is_ok());
}

#[test]
fn passwords_and_readers_have_deadlines_of_their_own() {
    let mut patience = Patience::new(&settings(), at(0));
    let stranger = Waiting {
        authenticated: false,
        ..RESTING
    };
    assert!(matches!(
        patience.check(at(5), &stranger),
        Err(End::Unauthenticated)
    ));
    patience.progressed(at(20));
    let unread = Waiting {
        unread: true,
        ..RESTING
    };
    assert!(patience.check(at(29), &unread).is_ok());
    assert!(matches!(patience.check(at(30), &unread), Err(End::Unread)));
    assert!(patience.is_congested((1 << 18) + 1) && !patience.is_exhausted(1 << 20));
}
