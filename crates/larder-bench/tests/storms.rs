//! The bench of stampedes with few readers: it sees what it is there to see.

use std::process::Command;

/// Whether the claim of a run holds, and what was printed. The ttl is long, so that a machine that
/// stands still for a moment does not let the value end within a round.
fn stampede(more: &[&str]) -> (Option<i32>, String) {
    let few = [
        "stampede",
        "--processes",
        "2",
        "--readers",
        "40",
        "--rounds",
        "1",
        "--ttl",
        "5",
    ];
    let bench = Command::new(env!("CARGO_BIN_EXE_larder-bench"))
        .args(few)
        .args(more)
        .output()
        .expect("the bench runs");
    let said = [bench.stdout, bench.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (bench.status.code(), said)
}

#[test]
fn readers_of_two_processes_load_a_key_once() {
    let (code, said) = stampede(&[]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn the_bench_of_stampedes_fails_where_processes_share_nothing() {
    let (code, said) = stampede(&["--alone"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("up to 2 in a round"), "{said}");
}
