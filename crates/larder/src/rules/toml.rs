//! Rules as configuration: `[on.<event>]`, and in it `key`, `tag`, `prefix`, `pattern` and `clear`.

use ::toml::Spanned;
use ::toml::de::{DeString, DeTable, DeValue};
use larder_core::nearest::nearest;

use super::plan::problem;
use super::{Kind, Order, Rule, Rules};

/// Reads rules, and what is wrong with them, by line. What else is in the file is nobody's business
/// unless it is of rules alone.
pub(super) fn read(text: &str, is_alone: bool) -> (Rules, Vec<(usize, String)>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk {
        text,
        rules: Rules::new(),
        wrong: Vec::new(),
    };
    for error in errors.iter().filter(|_| is_alone) {
        let at = error.span().map_or(0, |span| span.start);
        let what = error.message().replace('\n', " ");
        walk.wrong(at, &format!("{what} – this is no TOML"));
    }
    for (key, value) in table.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("on", DeValue::Table(events)) => walk.events(events),
            ("on", _) => walk.wrong(key.span().start, "write [on.<event>] and its orders below"),
            (_, _) if is_alone => walk.unknown(key, &["on"]),
            (_, _) => {}
        }
    }
    (walk.rules, walk.wrong)
}

struct Walk<'a> {
    text: &'a str,
    rules: Rules,
    wrong: Vec<(usize, String)>,
}

type Text<'i> = Spanned<DeString<'i>>;
type Value<'i> = Spanned<DeValue<'i>>;

impl Walk<'_> {
    fn events(&mut self, events: &DeTable<'_>) {
        for (event, orders) in events {
            let name = event.get_ref();
            let DeValue::Table(orders) = orders.get_ref() else {
                let advice = format!("write [on.{name}] and its orders below");
                self.wrong(event.span().start, &advice);
                continue;
            };
            let mut rule = Rule::default();
            for (word, value) in orders {
                let kinds = Kind::ALL;
                match kinds.iter().find(|(known, _)| word.get_ref() == known) {
                    Some((_, Kind::Clear)) => {
                        for (at, cache) in self.texts(value, "a cache, or a list of caches") {
                            rule = self.order(rule, Kind::Clear, (&cache, at), "");
                        }
                    }
                    Some((_, kind)) => rule = self.caches(rule, *kind, word, value),
                    None => self.unknown(word, &kinds.map(|(word, _)| word)),
                }
            }
            self.rules.rules.push((name.to_string(), rule));
        }
    }

    fn caches(&mut self, mut rule: Rule, kind: Kind, word: &Text<'_>, value: &Value<'_>) -> Rule {
        let DeValue::Table(caches) = value.get_ref() else {
            let word = word.get_ref();
            let advice = format!("write {word} = {{ \"<cache>\" = \"<template>\" }}");
            self.wrong(value.span().start, &advice);
            return rule;
        };
        for (cache, templates) in caches {
            for (at, template) in self.texts(templates, "a template, or a list of templates") {
                rule = self.order(rule, kind, (cache.get_ref(), at), &template);
            }
        }
        rule
    }

    fn order(&mut self, rule: Rule, kind: Kind, (cache, at): (&str, usize), text: &str) -> Rule {
        let order = Order {
            kind,
            cache: cache.to_owned(),
            template: text.to_owned(),
        };
        if let Some(problem) = problem(&order) {
            self.wrong(at, &problem);
        }
        rule.add(order.kind, &order.cache, &order.template)
    }

    /// A text, or a list of texts, each with its place.
    fn texts(&mut self, value: &Value<'_>, expected: &str) -> Vec<(usize, String)> {
        let mut texts = Vec::new();
        let list = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![value],
        };
        for value in list {
            let at = value.span().start;
            match value.get_ref() {
                DeValue::String(text) => texts.push((at, text.to_string())),
                _ => self.wrong(at, &format!("write {expected}, in quotes")),
            }
        }
        texts
    }

    fn unknown(&mut self, word: &Text<'_>, known: &[&str]) {
        let (at, word) = (word.span().start, word.get_ref());
        let advice = match nearest(word, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("known here are {known:?}"),
        };
        self.wrong(at, &format!("unknown key {word:?} – {advice}"));
    }

    fn wrong(&mut self, at: usize, what: &str) {
        let before = self.text.as_bytes().iter().take(at);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        self.wrong.push((line, what.to_owned()));
    }
}
