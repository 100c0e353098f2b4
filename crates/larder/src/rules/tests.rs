//! Templates and rules as tables: what they become, and what is said of those that are wrong.

use super::template::{Fields, Template};
use super::*;
use larder_core::error::ErrorKind;
use larder_core::key::{Key, wire_key};
use larder_core::outbox::What;

fn fields(fields: &[(&str, &str)]) -> Fields {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    fields.iter().map(owned).collect()
}

fn keys(template: &str, values: &[(&str, &str)]) -> Vec<String> {
    let template = Template::parse_key(template).unwrap();
    let keys = template.keys(&fields(values)).unwrap();
    let text = |key: &::bytes::Bytes| String::from_utf8(key.to_vec()).unwrap();
    keys.iter().map(text).collect()
}

fn wire<K: Key + ?Sized>(key: &K) -> String {
    String::from_utf8(wire_key(b"", key).unwrap().to_vec()).unwrap()
}

fn wrong(rules: &Rules, caches: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    compile(rules, caches, &mut wrong);
    wrong
}

#[test]
fn a_key_of_a_rule_is_the_key_of_the_cache() {
    assert_eq!(keys("{id}", &[("id", "7")]), [wire(&7u64)]);
    assert_eq!(
        keys("{id}:profile", &[("id", "7")]),
        [wire(&(7u64, "profile"))]
    );
    assert_eq!(
        keys("u-{id}:{part}", &[("id", "7"), ("part", "a b")]),
        [wire(&("u-7", "a b"))]
    );
    assert_eq!(keys("{{{id}}}", &[("id", "7")]), [wire("{7}")]);
    assert_eq!(keys("a b%", &[]), [wire("a b%")]);
    assert_eq!(keys("posts:recent", &[]), [wire("posts:recent")]);
}

#[test]
fn what_stands_in_a_field_stays_one_part_and_caches_of_strings_are_reached_too() {
    let found = keys("{id}:profile", &[("id", "7:admin")]);
    assert_eq!(
        found,
        [wire(&("7:admin", "profile")), wire("7:admin:profile")]
    );
    assert_eq!(
        keys("{id}", &[("id", "a:b")]),
        ["a%3Ab".to_owned(), wire("a:b")]
    );
    let empty = keys("user:{id}", &[("id", "")]);
    assert_eq!(empty, [wire(&("user", "")), wire("user:")]);
}

#[test]
fn braces_and_stars_in_a_value_are_nothing_but_text() {
    for value in ["*", "{id}", "}", "[a-z]", "?", "\\", "日本"] {
        assert_eq!(keys("{id}", &[("id", value)]), [wire(value)]);
        let tag = Template::parse("user:{id}").unwrap();
        let text = tag.text(&fields(&[("id", value)]));
        assert_eq!(text, format!("user:{value}"));
    }
}

fn texts(found: Vec<::bytes::Bytes>) -> Vec<String> {
    let text = |bytes: ::bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    found.into_iter().map(text).collect()
}

#[test]
fn a_value_in_a_pattern_or_a_prefix_matches_nothing_but_itself() {
    let pattern = Template::parse_pattern("user:{id}:*").unwrap();
    let patterns = |id: &str| texts(pattern.patterns(&fields(&[("id", id)])));
    assert_eq!(patterns("7"), ["user:7:*"]);
    assert_eq!(patterns("*"), ["user:\\*:*"]);
    assert_eq!(patterns("[a-z]?\\"), ["user:\\[a\\-z\\]\\?\\\\:*"]);
    assert_eq!(patterns("a b"), ["user:a%20b:*"]);
    assert_eq!(patterns(""), ["user:%e:*", "user::*"]);
    assert_eq!(patterns("a:b"), ["user:a%3Ab:*", "user:a:b:*"]);
    let prefix = Template::parse_prefix("user:{id}:").unwrap();
    let prefixes = |id: &str| texts(prefix.prefixes(&fields(&[("id", id)])));
    assert_eq!(prefixes("7"), ["user:7:"]);
    assert_eq!(prefixes("*"), ["user:*:"]);
    assert_eq!(prefixes("a:b"), ["user:a%3Ab:", "user:a:b:"]);
    assert_eq!(prefixes(""), ["user:%e:", "user::"]);
}

#[test]
fn patterns_and_prefixes_that_would_take_others_along_are_refused() {
    for template in [
        "user:{id}*",
        "*{id}",
        "{id}?",
        "[a{id}c]",
        "x:{a}[0-9]",
        "*:\\{id}",
    ] {
        let problem = Template::parse_pattern(template).unwrap_err();
        assert!(
            problem.contains("beside a wild card"),
            "{template}: {problem}"
        );
    }
    for template in ["user:{id}", "{id}", "{a}{b}"] {
        let problem = Template::parse_prefix(template).unwrap_err();
        assert!(
            problem.contains("would take 70 along"),
            "{template}: {problem}"
        );
    }
    for template in ["user:{id}:*", "{id}", "*:{id}", "page:?"] {
        assert!(Template::parse_pattern(template).is_ok(), "{template}");
    }
    for template in ["user:{id}:", "user:", "user"] {
        assert!(Template::parse_prefix(template).is_ok(), "{template}");
    }
}

#[test]
fn templates_that_cannot_be_read_say_what_is_wrong_and_where() {
    for (template, said) in [
        ("", "is empty"),
        ("user:{id", "a { at position 6 without its }"),
        ("ü}", "a } at position 2 without its {"),
        ("a{}", "has {} at position 2"),
        ("{{x}", "a } at position 4"),
        ("{a b}", "has {a b} at position 1"),
        ("{a{b}}", "has {a{b} at position 1"),
        ("user::x", "nothing in part 2"),
        (":x", "nothing in part 1"),
        ("{id}:", "nothing in part 2"),
    ] {
        let problem = Template::parse_key(template).unwrap_err();
        assert!(problem.contains(said), "{template}: {problem}");
    }
    assert!(Template::parse("::").is_ok(), "tags have no parts");
}

#[test]
fn everything_that_is_wrong_with_rules_is_reported_at_once() {
    let rules = Rules::new()
        .on("user", |rule| {
            rule.key("app:uesrs", "{id}")
                .tag("app:users", "user:{id")
                .key("app:nothing-like-it", "{id}::x")
        })
        .on("empty", |rule| rule);
    let wrong = wrong(&rules, &["app:orders", "app:users"]);
    let expected = [
        "the rule for \"user\": no cache is named \"app:uesrs\" – did you mean \"app:users\"?",
        "the rule for \"user\": the tag \"user:{id\" of app:users has a { at position 6 without \
         its }",
        "the rule for \"user\": the key \"{id}::x\" of app:nothing-like-it has nothing in part 2 \
         of those that ':' separates",
        "the rule for \"user\": no cache is named \"app:nothing-like-it\" – add it to the \
         invalidator",
        "the rule for \"empty\" invalidates nothing",
    ];
    assert_eq!(wrong, expected);
}

#[test]
fn an_event_that_cannot_be_understood_is_refused_before_anything_happens() {
    let rules = Rules::new().on("user", |rule| {
        rule.key("a", "{id}:{part}").tag("a", "tenant:{tenant}")
    });
    let plan = compile(&rules, &["a"], &mut Vec::new());
    let refused = |event: &str, values: &[(&str, &str)]| {
        let error = plan.steps(event, &fields(values)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };
    assert_eq!(
        refused("usr", &[]),
        "no rule is for the event \"usr\" – did you mean \"user\"?"
    );
    assert!(refused("payment", &[]).contains("say in the rules"));
    assert_eq!(
        refused("user", &[("Id", "7"), ("part", "x")]),
        "the event \"user\" lacks the fields {\"id\", \"tenant\"} that its rules name; it has \
         [\"Id\", \"part\"]"
    );
}

#[test]
fn rules_for_one_event_add_up_and_fields_too_many_do_no_harm() {
    let rules = Rules::new()
        .on("user", |rule| rule.key("a", "{id}"))
        .and(Rules::new().on("user", |rule| rule.clear("b")));
    let plan = compile(&rules, &["a", "b"], &mut Vec::new());
    let steps = plan.steps("user", &fields(&[("id", "7"), ("more", "x")]));
    let steps = steps.unwrap();
    let whats: Vec<_> = steps.iter().flat_map(Step::whats).collect();
    let key = What::Key(::bytes::Bytes::from_static(b"7"));
    assert_eq!(whats, [(0, &key), (1, &What::Clear)]);
}

#[cfg(feature = "toml")]
#[test]
fn rules_in_toml_are_the_rules_in_code() {
    let text = r#"
        [on.user]
        key = { "app:users" = ["{id}", "{id}:profile"], "app:names" = "{id}" }
        tag = { "app:orders" = "user:{id}" }
        prefix = { "app:users" = "{id}:" }
        pattern = { "app:search" = "user:{id}:*" }
        clear = ["app:front-page", "app:menu"]

        [on.shop.tag]
        "app:orders" = "shop:{shop}"
        [on.sale]
        clear = "app:front-page"
    "#;
    let code = Rules::new()
        .on("sale", |rule| rule.clear("app:front-page"))
        .on("shop", |rule| rule.tag("app:orders", "shop:{shop}"))
        .on("user", |rule| {
            rule.clear("app:front-page")
                .clear("app:menu")
                .key("app:names", "{id}")
                .key("app:users", "{id}")
                .key("app:users", "{id}:profile")
                .pattern("app:search", "user:{id}:*")
                .prefix("app:users", "{id}:")
                .tag("app:orders", "user:{id}")
        });
    assert_eq!(Rules::from_toml(text).unwrap(), code);
    assert_eq!(Rules::from_toml("").unwrap(), Rules::new());
}

#[cfg(feature = "toml")]
#[test]
fn toml_that_is_wrong_is_reported_at_once_with_its_lines() {
    let text = "[on.user]\n\
                kye = { \"app:users\" = \"{id}\" }\n\
                tag = \"user:{id}\"\n\
                key = { \"app:users\" = [\"{id\", 7] }\n\
                clear = [\"app users\"]\n\
                [no.user]\n\
                x = \n";
    let error = Rules::from_toml(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for said in [
        "line 2: unknown key \"kye\" – did you mean \"key\"?",
        "line 3: write tag = { \"<cache>\" = \"<template>\" }",
        "line 4: the key \"{id\" of app:users has a { at position 1 without its }",
        "line 4: write a template, or a list of templates, in quotes",
        "line 5: the cache name \"app users\" has the character ' ' at position 4",
        "line 6: unknown key \"no\" – did you mean \"on\"?",
        "line 7: ",
    ] {
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
    for (text, said) in [
        ("on = 1", "line 1: write [on.<event>]"),
        ("[on]\nuser = 1", "line 2: write [on.user]"),
    ] {
        let error = Rules::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
