//! Templates: texts with named fields, and what becomes of them when the fields have values.
//!
//! Values come from data. In a key they are parts, escaped as the cache escapes its own; no value
//! can end the part it stands in and begin another.

use std::collections::BTreeMap;

use ::bytes::Bytes;
use larder_core::error::Result;
use larder_core::glob;
use larder_core::key::{Key, KeyWriter, escape, wire_key};

/// The fields of an event.
pub(super) type Fields = BTreeMap<String, String>;

/// A text with fields in it.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

impl Template {
    /// Reads a template, or says what is wrong with it and where.
    pub(super) fn parse(text: &str) -> Result<Template, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        let mut pieces = vec![Piece::Text(String::new())];
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            push(&mut pieces, &rest[..at]);
            let position = text[..text.len() - rest.len() + at].chars().count() + 1;
            let (brace, behind) = rest[at..].split_at(1);
            if let Some(behind) = behind.strip_prefix(brace) {
                push(&mut pieces, brace);
                rest = behind;
            } else if brace == "{" {
                let (field, behind) = behind
                    .split_once('}')
                    .ok_or_else(|| format!("has a {{ at position {position} without its }}"))?;
                let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
                if field.is_empty() || !field.chars().all(is_name) {
                    return Err(format!(
                        "has {{{field}}} at position {position}; a field is letters, digits, '_' \
                         and '-'"
                    ));
                }
                pieces.push(Piece::Field(field.to_owned()));
                pieces.push(Piece::Text(String::new()));
                rest = behind;
            } else {
                return Err(format!(
                    "has a }} at position {position} without its {{; write }}}} for a brace"
                ));
            }
        }
        push(&mut pieces, rest);
        Ok(Template(pieces))
    }

    /// Reads the template of a key, in which no part may be empty: a cache writes an empty part as
    /// `%e`.
    pub(super) fn parse_key(text: &str) -> Result<Template, String> {
        let template = Template::parse(text)?;
        let is_empty = |part: &Vec<Piece>| part.is_empty();
        match template.parts().iter().position(is_empty) {
            Some(at) => Err(format!(
                "has nothing in part {} of those that ':' separates",
                at + 1
            )),
            None => Ok(template),
        }
    }

    /// Reads the template of a prefix. It may end with a `:`, and may not end with a field, because
    /// the prefix `7` is that of `70` too.
    pub(super) fn parse_prefix(text: &str) -> Result<Template, String> {
        let template = Template::parse(text)?;
        match &template.0[..] {
            [.., Piece::Field(field), Piece::Text(end)] if end.is_empty() => Err(format!(
                "ends with {{{field}}}, so that 7 would take 70 along; end it with a ':'"
            )),
            _ => Ok(template),
        }
    }

    /// Reads the template of a pattern, in which no field may stand beside, or in, what stands for
    /// other characters.
    pub(super) fn parse_pattern(text: &str) -> Result<Template, String> {
        // A backslash would make the one ordinary that protects the value.
        let is_wild = |c: char| "*?[]\\".contains(c);
        let template = Template::parse(text)?;
        let (mut before, mut in_class) = (false, false);
        for (at, piece) in template.0.iter().enumerate() {
            match piece {
                Piece::Text(text) => {
                    before = text.ends_with(is_wild);
                    in_class = text.chars().fold(in_class, |open, c| match c {
                        '[' => true,
                        ']' => false,
                        _ => open,
                    });
                }
                Piece::Field(field) => {
                    let behind = match template.0.get(at + 1) {
                        Some(Piece::Text(text)) => text.starts_with(is_wild),
                        _ => false,
                    };
                    if before || behind || in_class {
                        return Err(format!(
                            "has {{{field}}} beside a wild card, so that 7 would take 70 along; \
                             put a ':' in between"
                        ));
                    }
                }
            }
        }
        Ok(template)
    }

    /// The fields that it names.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field(field) => Some(field.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with these values.
    pub(super) fn text(&self, fields: &Fields) -> String {
        filled(&self.0, fields)
    }

    /// The key on the wire: as a cache writes it whose key is one string, and as one does whose key
    /// has several parts. With most values that is the same.
    pub(super) fn keys(&self, fields: &Fields) -> Result<Vec<Bytes>> {
        let parts = self.parts();
        let parts: Vec<String> = parts.iter().map(|part| filled(part, fields)).collect();
        let as_parts = wire_key(b"", &Parts(&parts))?;
        let as_text = wire_key(b"", &self.text(fields))?;
        let mut keys = vec![Bytes::copy_from_slice(&as_parts)];
        if as_text != as_parts {
            keys.push(Bytes::copy_from_slice(&as_text));
        }
        Ok(keys)
    }

    /// The beginnings of keys, in both forms.
    pub(super) fn prefixes(&self, fields: &Fields) -> Vec<Bytes> {
        self.both(fields, |value| value)
    }

    /// The patterns for keys, in both forms.
    pub(super) fn patterns(&self, fields: &Fields) -> Vec<Bytes> {
        self.both(fields, |value| glob::escape(&value))
    }

    /// The template as a part of keys, in both forms; `quote` makes values harmless.
    fn both(&self, fields: &Fields, quote: impl Fn(Vec<u8>) -> Vec<u8>) -> Vec<Bytes> {
        let value = |field: &str| fields.get(field).map_or("", String::as_str);
        let written = |piece: &Piece, in_parts: bool| match piece {
            Piece::Text(text) => escape(text).to_vec(),
            Piece::Field(field) if in_parts => {
                let escaped = escape(value(field)).to_vec();
                let text = String::from_utf8_lossy(&escaped).replace(':', "%3A");
                quote(text.into_bytes())
            }
            Piece::Field(field) => quote(escape(value(field)).to_vec()),
        };
        let part = |pieces: &Vec<Piece>| {
            let part: Vec<u8> = pieces.iter().flat_map(|it| written(it, true)).collect();
            match part.is_empty() && !pieces.is_empty() {
                true => b"%e".to_vec(),
                false => part,
            }
        };
        let parts: Vec<Vec<u8>> = self.parts().iter().map(part).collect();
        let as_parts = parts.join(&b':');
        let as_text: Vec<u8> = self.0.iter().flat_map(|it| written(it, false)).collect();
        let mut both = vec![Bytes::from(as_parts)];
        if as_text != both[0] {
            both.push(Bytes::from(as_text));
        }
        both
    }

    /// What stands between the `:` of the template itself.
    fn parts(&self) -> Vec<Vec<Piece>> {
        let mut parts = vec![Vec::new()];
        for piece in &self.0 {
            let Piece::Text(text) = piece else {
                last(&mut parts).push(piece.clone());
                continue;
            };
            for (at, text) in text.split(':').enumerate() {
                if at > 0 {
                    parts.push(Vec::new());
                }
                if !text.is_empty() {
                    last(&mut parts).push(Piece::Text(text.to_owned()));
                }
            }
        }
        parts
    }
}

fn push(pieces: &mut [Piece], more: &str) {
    if let Some(Piece::Text(text)) = pieces.last_mut() {
        text.push_str(more);
    }
}

fn last<T>(parts: &mut [T]) -> &mut T {
    parts.last_mut().expect("there is one part at least")
}

fn filled(pieces: &[Piece], fields: &Fields) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        // Whether all fields are there was looked at before.
        Piece::Field(field) => fields.get(field).cloned().unwrap_or_default(),
    };
    pieces.iter().map(text).collect()
}

struct Parts<'a>(&'a [String]);

impl Key for Parts<'_> {
    fn write(&self, out: &mut KeyWriter<'_>) {
        let parts: Vec<&dyn Key> = self.0.iter().map(|part| part as &dyn Key).collect();
        out.parts(&parts);
    }
}
