//! The configuration while it is put together: values so far, and what is wrong with the rest.
//!
//! Layers are applied from the weakest to the strongest. Nothing stops at the first mistake:
//! whoever fixes a configuration wants to hear all of it at once.

use std::collections::BTreeMap;
use std::fs;

use larder::Rules;

use super::origin::Origin;
use super::table::{Kind, Setting, TABLE, TTL};
use super::value::{Units, Value};

/// Values, mistakes and warnings so far.
pub(crate) struct Draft {
    values: Vec<Entry>,
    pub(crate) named: BTreeMap<String, Named>,
    pub(crate) rules: Rules,
    /// One line each.
    pub(crate) errors: Vec<String>,
    /// One line each.
    pub(crate) warnings: Vec<String>,
}

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// A named cache so far.
#[derive(Clone, Default, Debug)]
pub(crate) struct Named {
    pub(crate) ttl: Option<Entry>,
    /// A glob; without one, the keys whose first or second segment is the name.
    pub(crate) pattern: Option<Entry>,
}

impl Draft {
    /// All defaults.
    pub(crate) fn new() -> Draft {
        let default = |setting: &Setting| Entry {
            // A test proves that every default is accepted.
            value: setting
                .kind
                .parse(setting.default, Units::Required)
                .unwrap_or(Value::Absent),
            origin: Origin::Default,
        };
        Draft {
            values: TABLE.iter().map(default).collect(),
            named: BTreeMap::new(),
            rules: Rules::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The value of a setting.
    ///
    /// # Panics
    ///
    /// If there is no setting with this path.
    pub(crate) fn get(&self, path: &str) -> &Entry {
        let at = TABLE.iter().position(|setting| setting.path == path);
        &self.values[at.unwrap_or_else(|| panic!("there is no setting {path}"))]
    }

    /// All settings and their values.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static Setting, &Entry)> {
        TABLE.iter().zip(&self.values)
    }

    /// Gives a setting a value from text.
    pub(crate) fn set(&mut self, setting: &'static Setting, text: &str, origin: Origin) {
        if let Some(entry) = self.parse(setting.kind, setting.path, text, origin) {
            self.put(setting.path, entry);
        }
    }

    /// Gives a setting the content of a file.
    pub(crate) fn set_from_file(&mut self, setting: &'static Setting, path: &str, origin: Origin) {
        match fs::read_to_string(path) {
            Ok(text) => self.set(setting, text.trim_end_matches(['\r', '\n']), origin),
            Err(error) => self.errors.push(format!(
                "{} cannot be read – {error} – name a file that this user can read",
                origin.blames(&format!("{}_file", setting.path), &format!("{path:?}"))
            )),
        }
    }

    /// Replaces a value.
    pub(crate) fn put(&mut self, path: &str, entry: Entry) {
        let at = TABLE.iter().position(|setting| setting.path == path);
        if let Some(at) = at {
            self.values[at] = entry;
        }
    }

    /// Gives a named cache its life.
    pub(crate) fn set_named_ttl(&mut self, name: &str, text: &str, origin: Origin) {
        let path = format!("ttl.named.{name}.ttl");
        if !self.check_name(name, &origin) {
            return;
        }
        if let Some(entry) = self.parse(Kind::Duration(TTL), &path, text, origin) {
            self.named.entry(name.to_owned()).or_default().ttl = Some(entry);
        }
    }

    /// Says which keys a named cache covers.
    pub(crate) fn set_named_pattern(&mut self, name: &str, text: &str, origin: Origin) {
        if !self.check_name(name, &origin) {
            return;
        }
        if text.is_empty() || text.len() > 1_024 {
            let blame = origin.blames(&format!("ttl.named.{name}.match"), &format!("{text:?}"));
            let advice = "accepted: a glob over whole keys, such as app:session:*";
            self.errors
                .push(format!("{blame} is no pattern – {advice}"));
            return;
        }
        let value = Value::Word(text.to_owned());
        self.named.entry(name.to_owned()).or_default().pattern = Some(Entry { value, origin });
    }

    fn check_name(&mut self, name: &str, origin: &Origin) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_good = (1..=64).contains(&name.len()) && name.bytes().all(is_plain);
        if !is_good {
            let blame = origin.blames("ttl.named", &format!("{name:?}"));
            let advice = "accepted: up to 64 letters, digits, _ and -";
            self.errors
                .push(format!("{blame} is no name of a cache – {advice}"));
        }
        is_good
    }

    fn parse(&mut self, kind: Kind, path: &str, text: &str, origin: Origin) -> Option<Entry> {
        let units = match origin {
            Origin::File { .. } => Units::Required,
            _ => Units::Optional,
        };
        match kind.parse(text, units) {
            Ok(value) => Some(Entry { value, origin }),
            Err(problem) => {
                let blame = origin.blames(path, &kind.shown(text));
                let accepted = kind.accepted();
                self.errors
                    .push(format!("{blame} {problem} – accepted: {accepted}"));
                None
            }
        }
    }
}
