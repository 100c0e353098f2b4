//! What arguments mean, and what is said about wrong ones.

use super::{Action, ServeArgs, command, parse};

fn run(arguments: &[&str]) -> Result<Action, String> {
    let program = ["larder"].into_iter().chain(arguments.iter().copied());
    parse(program.map(Into::into))
}

fn serve(arguments: &[&str]) -> ServeArgs {
    match run(arguments) {
        Ok(Action::Serve(args)) => args,
        other => panic!("{arguments:?} is {other:?}"),
    }
}

fn printed(arguments: &[&str]) -> String {
    match run(arguments) {
        Ok(Action::Print(text)) => text,
        other => panic!("{arguments:?} is {other:?}"),
    }
}

#[test]
fn the_definition_is_sound() {
    command().debug_assert();
}

#[test]
fn serving_is_the_default() {
    assert!(serve(&[]).flags.is_empty());
    assert!(serve(&["--check"]).check);
    let args = serve(&[
        "serve",
        "--resp",
        "127.0.0.1:1",
        "--ttl",
        "a=1h",
        "--ttl",
        "b=2h",
    ]);
    let expected = [("resp", "127.0.0.1:1"), ("ttl", "a=1h"), ("ttl", "b=2h")];
    assert_eq!(
        args.flags,
        expected.map(|(flag, value)| (flag.into(), value.into()))
    );
}

#[test]
fn the_doctor_takes_what_a_node_takes() {
    let arguments = ["doctor", "--json", "--url", "redis://a", "--resp", "x"];
    match run(&arguments) {
        Ok(Action::Doctor(args)) => {
            assert!(args.json);
            let flags: Vec<&str> = args.serve.flags.iter().map(|(flag, _)| &**flag).collect();
            assert_eq!(flags, ["url", "resp"]);
        }
        other => panic!("{other:?}"),
    }
    let help = printed(&["doctor", "--help"]);
    assert!(help.starts_with("Examples:\n  larder doctor"), "{help}");
    assert!(help.contains("--url") && !help.contains("--resp-max-clients"));
    assert!(help.contains("Exit codes: 0 nothing is wrong"), "{help}");
}

#[test]
fn help_begins_with_three_examples() {
    for arguments in [&["--help"][..], &["serve", "--help"]] {
        let help = printed(arguments);
        let mut lines = help.lines();
        assert_eq!(lines.next(), Some("Examples:"), "{help}");
        assert!(
            lines
                .by_ref()
                .take(3)
                .all(|line| line.contains("larder serve"))
        );
        assert_eq!(lines.next(), Some(""), "{help}");
    }
    assert!(printed(&["serve", "-h"]).contains("--resp-max-clients"));
}

#[test]
fn the_version_is_one_line() {
    let expected = format!("larder {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in [["version"], ["--version"], ["-V"]] {
        assert_eq!(printed(&arguments), expected);
    }
}

#[test]
fn a_mistake_is_one_line_with_what_was_meant() {
    for (arguments, expected) in [
        (
            &["serve", "--rsp", "x"][..],
            "unknown flag --rsp – did you mean --resp?",
        ),
        (
            &["--max-clients=5"],
            "unknown flag --max-clients – did you mean --resp-max-clients?",
        ),
        (
            &["--bind", "x"],
            "unknown flag --bind – did you mean --resp?",
        ),
        (
            &["--quux"],
            "unknown flag --quux – larder serve --help lists all flags",
        ),
        (
            &["sevre"],
            "unknown command \"sevre\" – did you mean larder serve?",
        ),
        (
            &["frobnicate"],
            "unknown command \"frobnicate\" – the commands are serve, doctor, bus ping, demo, version",
        ),
        (
            &["doctor", "--check"],
            "unknown flag --check – larder serve --help lists all flags",
        ),
        (
            &["serve", "now"],
            "unexpected argument \"now\" – larder serve --help lists all flags",
        ),
        (
            &["--check", "--check"],
            "--check is given more than once – keep one of them",
        ),
    ] {
        assert_eq!(run(arguments).unwrap_err(), expected);
    }
    let error = run(&["serve", "--resp"]).unwrap_err();
    assert!(error.starts_with("--resp <ADDR> needs a value"), "{error}");
    assert!(!error.contains('\n'));
}

#[cfg(feature = "sqlite")]
#[test]
fn mistakes_in_the_flags_of_the_demo_are_held_against_its_own() {
    for (flag, expected) in [
        (
            "--secnds",
            "unknown flag --secnds – did you mean --seconds?",
        ),
        (
            "--resp-max",
            "unknown flag --resp-max – larder demo --help lists all flags",
        ),
    ] {
        assert_eq!(run(&["demo", flag, "3"]).unwrap_err(), expected);
    }
}
