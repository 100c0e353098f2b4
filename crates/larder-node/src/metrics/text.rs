//! The text format of Prometheus, version 0.0.4: families with help and type, then their samples.

use std::fmt::{Display, Write};

/// The media type of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's values mean.
#[derive(Clone, Copy)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
}

/// Labels and their values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text that grows family by family.
#[derive(Default)]
pub(super) struct Text {
    text: String,
}

/// The family that is being written.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl Text {
    /// Opens a family; all its samples must follow before the next one is opened.
    pub(super) fn family<'a>(&'a mut self, name: &'a str, kind: Type, help: &str) -> Family<'a> {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.text
            .push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family {
            text: &mut self.text,
            name,
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// A sample of the family.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        self.suffixed("", labels, value)
    }

    /// A sample whose name is the family's with a suffix (`_bucket`, `_sum`, `_count`).
    pub(super) fn suffixed(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        value: impl Display,
    ) -> &mut Self {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (at, (label, content)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(content, self.text);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, " {value}");
        self
    }
}

/// Appends a label's value: backslash, quote and line feed are the characters that need care.
fn escape(content: &str, text: &mut String) {
    for character in content.chars() {
        match character {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_the_format_says() {
        let mut text = Text::default();
        text.family("a_total", Type::Counter, "Line\nand \\.")
            .sample(&[], 1)
            .sample(&[("x", "a\"b\\c\nd"), ("y", "ü")], 2.5);
        let expected = "# HELP a_total Line\\nand \\\\.\n# TYPE a_total counter\na_total 1\n\
                        a_total{x=\"a\\\"b\\\\c\\nd\",y=\"ü\"} 2.5\n";
        assert_eq!(text.finish(), expected);
    }
}
