//! The effective configuration, for people: every setting, its value and where that comes from.

use std::fmt::Write;

use super::draft::{Draft, Entry};

/// One line per setting, secrets hidden.
pub(crate) fn show(draft: &Draft) -> String {
    let mut lines: Vec<(String, &Entry)> = Vec::new();
    for (setting, entry) in draft.entries() {
        lines.push((setting.path.to_owned(), entry));
        if setting.path == "ttl.default" {
            lines.extend(named(draft));
        }
    }
    let mut text = String::new();
    for (path, entry) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{path} = {} ({})", entry.value.shown(), entry.origin);
    }
    for (event, orders) in draft.rules.events() {
        let noun = if orders == 1 { "order" } else { "orders" };
        let _ = writeln!(text, "on.{event} = {orders} {noun} (the file)");
    }
    text
}

fn named(draft: &Draft) -> Vec<(String, &Entry)> {
    let mut lines = Vec::new();
    for (name, named) in &draft.named {
        let fields = [("ttl", &named.ttl), ("match", &named.pattern)];
        for (field, entry) in fields {
            let entry = entry.as_ref();
            lines.extend(entry.map(|entry| (format!("ttl.named.{name}.{field}"), entry)));
        }
    }
    lines
}
