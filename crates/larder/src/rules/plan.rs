//! Rules that were checked, what they say of one event, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::nearest::nearest;
use larder_core::outbox::What;

use super::template::{Fields, Template};
use super::{Kind, Order, Rules};
use crate::invalidator::{Swept, Target};

/// Rules that were checked, by event.
#[derive(Default)]
pub(crate) struct Plan(BTreeMap<String, Vec<Checked>>);

/// An order that was checked.
struct Checked {
    cache: usize,
    /// How errors call it. Not with the values of fields: errors go to logs.
    label: String,
    template: Checks,
}

enum Checks {
    Key(Template),
    Tag(Template),
    Prefix(Template),
    Pattern(Template),
    Clear,
}

/// What one order says of one event.
pub(crate) struct Step {
    cache: usize,
    label: String,
    whats: Result<Vec<What>>,
}

impl Step {
    /// What is to be invalidated, with the place of its cache.
    pub(crate) fn whats(&self) -> impl Iterator<Item = (usize, &What)> {
        self.whats.iter().flatten().map(|what| (self.cache, what))
    }
}

/// What an event has invalidated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a report tells what was invalidated; drop it with `let _ =` if that does not matter"]
pub struct Report {
    invalidated: Vec<(String, What)>,
    existed: usize,
}

impl Report {
    /// What was invalidated, with its cache, in the order of the rules.
    pub fn invalidated(&self) -> &[(String, What)] {
        &self.invalidated
    }

    /// How many of the keys had a value.
    pub fn existed(&self) -> usize {
        self.existed
    }
}

/// Checks rules against the names of caches, which are in order. Adds what is wrong.
pub(crate) fn compile(rules: &Rules, caches: &[&str], wrong: &mut Vec<String>) -> Plan {
    let mut plan = Plan::default();
    for (event, rule) in &rules.rules {
        let checked = plan.0.entry(event.clone()).or_default();
        if rule.orders.is_empty() {
            wrong.push(format!("the rule for {event:?} invalidates nothing"));
        }
        for order in &rule.orders {
            let template = check(order);
            let cache = find(&order.cache, caches);
            match (template, cache) {
                (Ok(template), Ok(cache)) => checked.push(Checked {
                    cache,
                    label: label(order),
                    template,
                }),
                (template, cache) => {
                    let problems = [template.err(), cache.err()];
                    let blame = |problem| format!("the rule for {event:?}: {problem}");
                    wrong.extend(problems.into_iter().flatten().map(blame));
                }
            }
        }
    }
    plan
}

/// What is wrong with rules, wherever their caches are.
#[cfg(feature = "toml")]
pub(super) fn problem(order: &Order) -> Option<String> {
    let name = larder_core::key::Name::new(&order.cache)
        .err()
        .map(|error| error.to_string());
    check(order).err().or(name)
}

fn check(order: &Order) -> Result<Checks, String> {
    let blame = |problem| format!("{} {problem}", label(order));
    match order.kind {
        Kind::Key => Template::parse_key(&order.template).map(Checks::Key),
        Kind::Tag => Template::parse(&order.template).map(Checks::Tag),
        Kind::Prefix => Template::parse_prefix(&order.template).map(Checks::Prefix),
        Kind::Pattern => Template::parse_pattern(&order.template).map(Checks::Pattern),
        Kind::Clear => Ok(Checks::Clear),
    }
    .map_err(blame)
}

fn label(order: &Order) -> String {
    let (cache, template) = (&order.cache, &order.template);
    match order.kind {
        Kind::Key => format!("the key {template:?} of {cache}"),
        Kind::Tag => format!("the tag {template:?} of {cache}"),
        Kind::Prefix => format!("the prefix {template:?} of {cache}"),
        Kind::Pattern => format!("the pattern {template:?} of {cache}"),
        Kind::Clear => format!("all of {cache}"),
    }
}

fn find(cache: &str, caches: &[&str]) -> Result<usize, String> {
    caches.binary_search(&cache).map_err(|_| {
        let advice = match nearest(cache, caches.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "add it to the invalidator".to_owned(),
        };
        format!("no cache is named {cache:?} – {advice}")
    })
}

impl Plan {
    /// What the rules say of an event.
    pub(crate) fn steps(&self, event: &str, fields: &Fields) -> Result<Vec<Step>> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let Some(orders) = self.0.get(event) else {
            let advice = match nearest(event, self.0.keys().map(String::as_str)) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => "say in the rules what it invalidates".to_owned(),
            };
            return invalid(format!("no rule is for the event {event:?} – {advice}"));
        };
        let missing: BTreeSet<&str> = orders
            .iter()
            .flat_map(|order| order.template.fields())
            .filter(|field| !fields.contains_key(*field))
            .collect();
        if !missing.is_empty() {
            let given: Vec<&String> = fields.keys().collect();
            return invalid(format!(
                "the event {event:?} lacks the fields {missing:?} that its rules name; it has \
                 {given:?}"
            ));
        }
        let step = |order: &Checked| Step {
            cache: order.cache,
            label: order.label.clone(),
            whats: order.template.whats(fields),
        };
        Ok(orders.iter().map(step).collect())
    }
}

impl Checks {
    fn fields(&self) -> impl Iterator<Item = &str> {
        let template = match self {
            Checks::Key(template)
            | Checks::Tag(template)
            | Checks::Prefix(template)
            | Checks::Pattern(template) => Some(template),
            Checks::Clear => None,
        };
        template.into_iter().flat_map(Template::fields)
    }

    fn whats(&self, fields: &Fields) -> Result<Vec<What>> {
        let whats = match self {
            Checks::Key(template) => template.keys(fields)?.into_iter().map(What::Key).collect(),
            Checks::Tag(template) => vec![What::Tag(template.text(fields))],
            Checks::Prefix(template) => {
                let prefixes = template.prefixes(fields).into_iter();
                prefixes.map(What::Prefix).collect()
            }
            Checks::Pattern(template) => {
                let patterns = template.patterns(fields).into_iter();
                patterns.map(What::Pattern).collect()
            }
            Checks::Clear => vec![What::Clear],
        };
        let problem = whats.iter().find_map(|what| what.check().err());
        match problem {
            None => Ok(whats),
            Some(problem) => Err(Error::new(ErrorKind::Invalid, problem)),
        }
    }
}

/// What came of an event, or what of it has failed.
pub(crate) fn report(
    event: &str,
    steps: Vec<Step>,
    targets: &[Arc<dyn Target>],
    swept: &BTreeMap<usize, Swept>,
) -> Result<Report> {
    let count = steps.len();
    let mut failures: Vec<(String, Error)> = Vec::new();
    let mut invalidated = Vec::new();
    for step in steps {
        let Step {
            cache,
            label,
            whats,
        } = step;
        let done = whats.and_then(|whats| {
            let swept = &swept[&cache];
            whats.iter().try_for_each(|what| swept.outcome(what))?;
            Ok(whats)
        });
        match done {
            Ok(whats) => {
                let name = targets[cache].name();
                invalidated.extend(whats.into_iter().map(|what| (name.to_owned(), what)));
            }
            Err(error) => failures.push((label, error)),
        }
    }
    let Some((_, first)) = failures.first() else {
        let existed = swept.values().filter_map(|swept| swept.keys.as_ref().ok());
        let existed = existed.sum();
        return Ok(Report {
            invalidated,
            existed,
        });
    };
    let kind = first.kind();
    let failed: Vec<String> = failures
        .iter()
        .map(|(label, error)| format!("{label}: {error}"))
        .collect();
    let message = format!(
        "the event {event:?}: {} of {count} orders failed, repeat it: {}",
        failed.len(),
        failed.join("; ")
    );
    Err(Error::new(kind, message))
}
