//! What the server says about itself: `INFO`, and those of its settings that may be asked for.

use std::collections::HashMap;

use larder::redis::{Answer, Inspector};
use larder_core::error::Result;

/// The settings that are looked at.
const SETTINGS: [&str; 5] = [
    "save",
    "min-replicas-to-write",
    "min-replicas-max-lag",
    "client-output-buffer-limit",
    "maxclients",
];

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Facts {
    info: HashMap<String, String>,
    settings: HashMap<&'static str, String>,
    /// Why there is no `INFO`.
    pub(super) info_refused: Option<String>,
    /// Why there are no settings.
    pub(super) settings_refused: Option<String>,
}

impl Facts {
    /// Asks. A refusal is a fact.
    pub(super) async fn ask(inspector: &Inspector) -> Result<Facts> {
        let mut facts = Facts::default();
        match inspector.ask(&["INFO"]).await? {
            Answer::Text(text) => facts.info = parse(&String::from_utf8_lossy(&text)),
            Answer::Refused(said) => facts.info_refused = Some(said),
            other => facts.info_refused = Some(format!("an odd answer: {other:?}")),
        }
        for setting in SETTINGS {
            // One by one: older servers take no more.
            match inspector.ask(&["CONFIG", "GET", setting]).await? {
                Answer::List(pair) => {
                    if let Some(Answer::Text(value)) = pair.get(1) {
                        let value = String::from_utf8_lossy(value).into_owned();
                        facts.settings.insert(setting, value);
                    }
                }
                Answer::Refused(said) => facts.settings_refused = Some(said),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// A field of `INFO`.
    pub(super) fn info(&self, field: &str) -> Option<&str> {
        self.info.get(field).map(String::as_str)
    }

    /// The same as a number.
    pub(super) fn number(&self, field: &str) -> Option<u64> {
        self.info(field)?.parse().ok()
    }

    /// A setting, if it could be asked for.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Why a setting is not known.
    pub(super) fn why_no_setting(&self, name: &str) -> String {
        match &self.settings_refused {
            Some(said) => format!("{name}: CONFIG is not permitted ({said})"),
            None => format!("{name}: the server does not know this setting"),
        }
    }

    #[cfg(test)]
    pub(super) fn of(info: &[(&str, &str)], settings: &[(&'static str, &str)]) -> Facts {
        let info = info
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let settings = settings
            .iter()
            .map(|(name, value)| (*name, (*value).into()));
        Facts {
            info: info.collect(),
            settings: settings.collect(),
            ..Facts::default()
        }
    }
}

/// Lines of `name:value`.
fn parse(text: &str) -> HashMap<String, String> {
    let fields = text.lines().filter_map(|line| line.trim().split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_from_lines_and_headings_are_not() {
        let info = parse("# Server\r\nredis_version:7.0.15\r\n\r\nos:Linux 6:1 x\r\nodd\r\n");
        assert_eq!(info.len(), 2);
        assert_eq!(info["os"], "Linux 6:1 x");
    }
}
