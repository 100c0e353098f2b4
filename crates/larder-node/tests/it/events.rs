//! Rules in the node's file, and the command that tells of an event.

use std::fs;

use crate::node::{Node, larder};
use crate::wire::Wire;

const RULES: &str = r#"
[near]
size = "1MiB"

[on.user]
key = { "app:users" = "{id}", "app:profiles" = ["{id}:short", "{id}:long"] }
tag = { "app:orders" = "user:{id}" }

[on.price-list]
clear = ["app:orders"]
"#;

fn node(rules: &str) -> (Node, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("rules.toml");
    fs::write(&file, rules).unwrap();
    (
        Node::start(&["--config", file.to_str().unwrap()], &[]),
        home,
    )
}

#[test]
fn an_event_invalidates_what_the_file_says_of_it() {
    let (node, _home) = node(RULES);
    let mut wire = Wire::connect(node.resp);
    for id in [7, 70] {
        for request in [
            format!("SET app:users:{id} u"),
            format!("SET app:profiles:{id}:short s"),
            format!("CACHE.SET app:orders:{id} o TAGS app:orders 1 user:{id}"),
        ] {
            assert_eq!(wire.ask(&request), "OK");
        }
    }
    let read = "MGET app:users:7 app:profiles:7:short app:orders:7 \
                app:users:70 app:profiles:70:short app:orders:70";
    assert_eq!(wire.ask("CACHE.EVENT user id 7"), "2");
    assert_eq!(wire.ask(read), "[(nil) (nil) (nil) u s o]");
    assert_eq!(wire.ask("CACHE.EVENT price-list"), "0");
    assert_eq!(wire.ask(read), "[(nil) (nil) (nil) u s (nil)]");
    let unknown = wire.ask("CACHE.EVENT usr id 7");
    assert!(
        unknown.starts_with("-ERR ") && unknown.contains("usr"),
        "{unknown}"
    );
    let missing = wire.ask("CACHE.EVENT user name 7");
    assert!(
        missing.starts_with("-ERR ") && missing.contains("id"),
        "{missing}"
    );
    let odd = "-ERR every field of an event needs a value behind it";
    assert_eq!(wire.ask("CACHE.EVENT user id"), odd);
    assert_eq!(wire.ask(read), "[(nil) (nil) (nil) u s (nil)]");
}

#[test]
fn mistakes_in_rules_are_told_with_all_others_and_rules_are_shown() {
    let home = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        fs::write(home.path().join("larder.toml"), text).unwrap();
        larder(home.path(), &["--check"], &[]).output().unwrap()
    };
    let output = check(RULES);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "on.user = 4 orders (the file)",
        "on.price-list = 1 order (the file)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let output = check(
        "[on.user]\nkeys = { \"app:users\" = \"{id}\" }\ntag = { \"app:orders\" = \"user:{id\" }\n\
         [near]\nsiz = \"1MiB\"\n[ttl]\ndefault = \"soon\"\n",
    );
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    for start in [
        "error: larder.toml:2: unknown key \"keys\" – did you mean \"key\"?",
        "error: larder.toml:3: ",
        "error: larder.toml:5: unknown key \"near.siz\" – did you mean \"near.size\"?",
        "error: larder.toml:7: ttl.default = \"soon\" is not a duration",
    ] {
        assert!(
            stderr.lines().any(|line| line.starts_with(start)),
            "{start} in\n{stderr}"
        );
    }
}
