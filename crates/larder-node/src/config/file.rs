//! The layer of the configuration file.

use larder::Rules;
use larder_core::nearest::nearest;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::draft::Draft;
use super::origin::Origin;
use super::table::{self, TABLE};

/// The table of the rules, which are no settings: a library of its own reads them.
const RULES: &str = "on";

/// The text of a file, and what to call it.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Applies a file to the draft.
pub(crate) fn apply(draft: &mut Draft, file: &File) {
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    for error in errors {
        let line = line_at(&file.text, error.span().map_or(0, |span| span.start));
        let what = error.message().replace('\n', " ");
        draft
            .errors
            .push(format!("{}:{line}: {what} – this is no TOML", file.name));
    }
    let (rules, wrong) = Rules::within_toml(&file.text);
    let wrong = wrong
        .into_iter()
        .map(|(line, what)| format!("{}:{line}: {what}", file.name));
    draft.errors.extend(wrong);
    draft.rules = rules;
    Walk { draft, file }.table(table.get_ref(), "");
}

struct Walk<'a> {
    draft: &'a mut Draft,
    file: &'a File,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, prefix: &str) {
        for (key, value) in in_order(table) {
            let path = format!("{prefix}{}", key.get_ref());
            if path == RULES {
                continue;
            }
            let origin = self.origin(key.span().start);
            self.key(&path, value.get_ref(), origin);
        }
    }

    fn key(&mut self, path: &str, value: &DeValue<'_>, origin: Origin) {
        let of_secret = path.strip_suffix("_file").and_then(table::find);
        match (value, table::find(path)) {
            (DeValue::Table(named), None) if path == "ttl.named" => self.named(named),
            (DeValue::Table(table), None) if is_section(path) => {
                self.table(table, &format!("{path}."));
            }
            (value, None) if is_section(path) => {
                let blame = origin.blames(path, &format!("{:?}", text(value)));
                let advice = format!("write [{path}] and its keys below");
                self.draft
                    .errors
                    .push(format!("{blame} is a value, not a section – {advice}"));
            }
            (value, None) => match of_secret.filter(|setting| setting.is_secret()) {
                Some(setting) => self.draft.set_from_file(setting, &text(value), origin),
                None => self.unknown(path, &origin),
            },
            (DeValue::Table(_) | DeValue::Array(_), Some(setting)) => {
                let accepted = setting.kind.accepted();
                self.draft.errors.push(format!(
                    "{origin}: {path} is not a single value – accepted: {accepted}"
                ));
            }
            (value, Some(setting)) => self.draft.set(setting, &text(value), origin),
        }
    }

    /// `[ttl.named]`: a life, or a table with a life and the pattern of the keys.
    fn named(&mut self, table: &DeTable<'_>) {
        for (name, value) in in_order(table) {
            let (name, origin) = (name.get_ref(), self.origin(name.span().start));
            let DeValue::Table(fields) = value.get_ref() else {
                self.draft
                    .set_named_ttl(name, &text(value.get_ref()), origin);
                continue;
            };
            for (field, value) in in_order(fields) {
                let origin = self.origin(field.span().start);
                match field.get_ref().as_ref() {
                    "ttl" => self
                        .draft
                        .set_named_ttl(name, &text(value.get_ref()), origin),
                    "match" => self
                        .draft
                        .set_named_pattern(name, &text(value.get_ref()), origin),
                    other => self.unknown(&format!("ttl.named.{name}.{other}"), &origin),
                }
            }
        }
    }

    fn unknown(&mut self, path: &str, origin: &Origin) {
        let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
        let meant = if section.starts_with("ttl.named.") {
            nearest(key, ["ttl", "match"]).map(|meant| format!("{section}.{meant}"))
        } else {
            let sections = TABLE
                .iter()
                .filter_map(|setting| setting.path.split_once('.'));
            let known = TABLE.iter().map(|setting| setting.path);
            let sections = sections.map(|(section, _)| section).chain([RULES]);
            nearest(path, known.chain(sections)).map(str::to_owned)
        };
        let hint = match meant {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "larder serve --help lists all settings".into(),
        };
        self.draft
            .errors
            .push(format!("{origin}: unknown key {path:?} – {hint}"));
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File {
            name: self.file.name.clone(),
            line: line_at(&self.file.text, offset),
        }
    }
}

/// The keys of a table as they stand in the file, so that its mistakes are told from the top.
fn in_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<DeString<'i>>, &'a Spanned<DeValue<'i>>)> {
    let mut keys: Vec<_> = table.iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    keys
}

/// Whether `path` is a table that holds settings.
fn is_section(path: &str) -> bool {
    let within = |setting: &table::Setting| {
        let rest = setting.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    path == "ttl.named" || TABLE.iter().any(within)
}

/// A single value as text; what a table or an array would be is only ever shown.
fn text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "[…]".into(),
        DeValue::Table(_) => "{…}".into(),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}
