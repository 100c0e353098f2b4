//! What keeps a node from starting is said on one line, with exit code 2.

use std::net::TcpListener;

use crate::node::{refusal, run};

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for (flag, other, what) in [("--resp", "--http", "RESP"), ("--http", "--resp", "HTTP")] {
        let line = refusal(&run(&[flag, &addr, other, "127.0.0.1:0"], &[]));
        let start = format!("error: cannot listen on {addr} ({what}) – another program listens");
        assert!(line.starts_with(&start), "{line}");
        assert!(
            line.contains(&format!("for example {flag} 127.0.0.1:")),
            "{line}"
        );
    }
}

#[test]
fn two_ports_in_use_are_one_line_too() {
    let taken = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [resp, http] = taken
        .each_ref()
        .map(|port| port.local_addr().unwrap().to_string());
    let line = refusal(&run(&["--resp", &resp, "--http", &http], &[]));
    assert!(line.contains(&resp) && line.contains(&http), "{line}");
}

#[test]
fn a_wrong_flag_is_refused_with_the_right_one() {
    let line = refusal(&run(&["serve", "--rsp", "x"], &[]));
    assert_eq!(line, "error: unknown flag --rsp – did you mean --resp?");
    let line = refusal(&run(&["serve", "--resp", "nowhere"], &[]));
    assert!(
        line.starts_with("error: --resp \"nowhere\" is not an address – accepted: "),
        "{line}"
    );
    let line = refusal(&run(&["serve", "--ttl-default"], &[]));
    assert!(
        line.contains("--ttl-default <TIME> needs a value"),
        "{line}"
    );
}

#[test]
fn a_wrong_variable_is_refused_with_what_is_accepted() {
    let line = refusal(&run(&[], &[("CACHE_POOL_TIMEOUT", "-5")]));
    let start = "error: CACHE_POOL_TIMEOUT=\"-5\" is not a duration – accepted: 1ms to 1h";
    assert!(line.starts_with(start), "{line}");
    let line = refusal(&run(&[], &[("CACHE_TYPE", "redis")]));
    assert!(
        line.starts_with("error: CACHE_TYPE=redis needs a server – set CACHE_URL"),
        "{line}"
    );
}

#[test]
fn an_unreadable_file_is_refused_by_name() {
    let line = refusal(&run(&["--config", "no-such.toml"], &[]));
    let start = "error: the configuration file no-such.toml cannot be read – No such file";
    assert!(line.starts_with(start), "{line}");
}

#[test]
fn a_port_open_to_others_wants_a_password() {
    let line = refusal(&run(&["--resp", "0.0.0.0:0"], &[]));
    assert!(
        line.contains("without a password – set CACHE_RESP_PASSWORD"),
        "{line}"
    );
}
