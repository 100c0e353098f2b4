//! `--check`: what a configuration comes to, without starting anything.

use std::fs;

use crate::node::{larder, refusal, run};

fn stdout(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run(arguments, variables);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_effective_configuration_is_printed_with_origins_and_without_secrets() {
    let variables = [
        ("CACHE_TTL_DEFAULT", "3600"),
        ("CACHE_URL", "redis://app:sesame@cache:6379/0"),
        ("CACHE_RESP_PASSWORD", "sesame"),
    ];
    let text = stdout(
        &["serve", "--check", "--resp", "127.0.0.1:7000"],
        &variables,
    );
    for line in [
        "enabled = true (default)",
        "type = redis (because url is set)",
        "url = redis://app:***@cache:6379/0 (env CACHE_URL)",
        "ttl.default = 1h (env CACHE_TTL_DEFAULT)",
        "resp.addr = 127.0.0.1:7000 (flag --resp)",
        "resp.password = *** (env CACHE_RESP_PASSWORD)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn redis_url_stands_in_for_a_missing_url_of_a_redis_tier_only() {
    let variables = [
        ("REDIS_URL", "redis://elsewhere/1"),
        ("CACHE_TYPE", "redis"),
    ];
    let text = stdout(&["--check"], &variables);
    assert!(
        text.contains("url = redis://elsewhere/1 (env REDIS_URL)\n"),
        "{text}"
    );
    let text = stdout(&["--check"], &variables[..1]);
    assert!(
        text.contains("type = memory (default)\nurl = none (default)\n"),
        "{text}"
    );
}

#[test]
fn the_file_of_the_working_directory_is_read() {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join("larder.toml"),
        "[ttl]\ndefault = \"90s\"\n",
    )
    .unwrap();
    let output = larder(home.path(), &["--check"], &[]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("ttl.default = 90s (larder.toml:2)\n"),
        "{text}"
    );
    fs::write(home.path().join("larder.toml"), "\n\ntll = 1\n").unwrap();
    let output = larder(home.path(), &["--check"], &[]).output().unwrap();
    let expected = "error: larder.toml:3: unknown key \"tll\" – did you mean \"ttl\"?";
    assert_eq!(refusal(&output), expected);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let variables = [("CACHE_TTL_DEFAULT", "soon"), ("CACHE_TYPE", "ring")];
    let output = run(&["--check", "--resp-max-clients", "0"], &variables);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    for start in [
        "error: CACHE_TTL_DEFAULT=\"soon\" is not a duration – accepted: ",
        "error: --resp-max-clients \"0\" is out of range – accepted: 1 to 1000000",
        "error: CACHE_TYPE=ring is not available in this version – accepted: memory, redis",
    ] {
        assert!(
            stderr.lines().any(|line| line.starts_with(start)),
            "{start} in\n{stderr}"
        );
    }
    assert_eq!(stderr.lines().count(), 3, "{stderr}");
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let output = run(&["--check"], &[("CACHE_TPYE", "redis")]);
    assert!(output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected = "warning: CACHE_TPYE is not a setting – did you mean CACHE_TYPE?\n";
    assert_eq!(stderr, expected);
}
