//! The layer of the environment: `CACHE_…`, and `REDIS_URL` where it stands in.

use std::ffi::OsString;

use larder_core::nearest::nearest;

use super::draft::Draft;
use super::origin::Origin;
use super::table::{Setting, TABLE};

const PREFIX: &str = "CACHE_";
const TTL: &str = "CACHE_TTL_";
const NAMED: &str = "CACHE_TTL_NAMED_";

/// A variable: its name and value.
pub(crate) type Variable = (OsString, OsString);

/// Applies the environment to the draft. A variable that is empty counts as not set, as compose
/// files and shells leave them.
pub(crate) fn apply(draft: &mut Draft, variables: &[Variable]) {
    let mut variables: Vec<_> = variables
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    // The order of the environment is accidental; the order of messages should not be.
    variables.sort();
    for (name, value) in &variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        match value.to_str() {
            Some(value) => variable(draft, name, value),
            None => draft
                .errors
                .push(format!("{name} is not UTF-8 – write it as plain text")),
        }
    }
    for setting in TABLE.iter().filter(|setting| setting.is_secret()) {
        let is_set = |name: &str| variables.iter().any(|(known, _)| known == name);
        let (name, file) = (setting.env(), format!("{}_FILE", setting.env()));
        if is_set(&name) && is_set(&file) {
            draft
                .errors
                .push(format!("{name} and {file} are both set – keep one"));
        }
    }
}

/// The URL that stands in for a missing `CACHE_URL`.
pub(crate) fn redis_url(variables: &[Variable]) -> Option<(&str, Origin)> {
    let (_, value) = variables.iter().find(|(name, _)| name == "REDIS_URL")?;
    let value = value.to_str().filter(|value| !value.is_empty())?;
    Some((value, Origin::Env("REDIS_URL".into())))
}

fn variable(draft: &mut Draft, name: &str, value: &str) {
    let origin = Origin::Env(name.to_owned());
    if let Some(setting) = by_env(name) {
        return draft.set(setting, value, origin);
    }
    let of_secret = name.strip_suffix("_FILE").and_then(by_env);
    if let Some(setting) = of_secret.filter(|setting| setting.is_secret()) {
        return draft.set_from_file(setting, value, origin);
    }
    if let Some(rest) = name.strip_prefix(NAMED) {
        let rest = rest.to_ascii_lowercase();
        if let Some(cache) = rest.strip_suffix("_match") {
            return draft.set_named_pattern(cache, value, origin);
        }
        if let Some(cache) = rest.strip_suffix("_ttl") {
            return draft.set_named_ttl(cache, value, origin);
        }
    }
    if let Some(cache) = name.strip_prefix(TTL) {
        if let Some(meant) = nearest(cache, ["DEFAULT"]) {
            draft.warnings.push(format!(
                "{name} is read as the life of a cache named {:?} – did you mean {TTL}{meant}?",
                cache.to_ascii_lowercase()
            ));
        }
        return draft.set_named_ttl(&cache.to_ascii_lowercase(), value, origin);
    }
    draft.warnings.push(unknown(name));
}

fn unknown(name: &str) -> String {
    let bare = &name[PREFIX.len()..];
    let known: Vec<String> = TABLE.iter().map(Setting::env).collect();
    let known = known.iter().map(|known| &known[PREFIX.len()..]);
    match nearest(bare, known) {
        Some(meant) => format!("{name} is not a setting – did you mean {PREFIX}{meant}?"),
        None => format!("{name} is not a setting – it is ignored; larder serve --help lists all"),
    }
}

fn by_env(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.env() == name)
}
