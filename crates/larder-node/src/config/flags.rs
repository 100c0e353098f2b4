//! The layer of the flags, the strongest.

use super::draft::Draft;
use super::origin::Origin;
use super::table::{Kind, TABLE};

/// Flags as they were given: names without dashes, and values.
pub(crate) type Flags = Vec<(String, String)>;

/// The flag that gives a named cache its life: `--ttl session=24h`.
pub(crate) const NAMED_TTL: &str = "ttl";

/// The flag that says which keys a named cache covers: `--ttl-match session=app:session:*`.
pub(crate) const NAMED_PATTERN: &str = "ttl-match";

/// Applies flags to the draft.
pub(crate) fn apply(draft: &mut Draft, flags: &Flags) {
    for (flag, value) in flags {
        let origin = Origin::Flag(format!("--{flag}"));
        match TABLE.iter().find(|setting| setting.flag == flag) {
            Some(setting) if matches!(setting.kind, Kind::Secret) => {
                draft.set_from_file(setting, value, origin);
            }
            Some(setting) => draft.set(setting, value, origin),
            None => named(draft, flag, value, origin),
        }
    }
}

fn named(draft: &mut Draft, flag: &str, value: &str, origin: Origin) {
    match value.split_once('=') {
        Some((name, pattern)) if flag == NAMED_PATTERN => {
            draft.set_named_pattern(name, pattern, origin);
        }
        Some((name, ttl)) => draft.set_named_ttl(name, ttl, origin),
        None => {
            let example = match flag {
                NAMED_PATTERN => "session=app:session:*",
                _ => "session=24h",
            };
            let blame = origin.blames(flag, &format!("{value:?}"));
            draft.errors.push(format!(
                "{blame} has no name – accepted: NAME=VALUE, such as {example}"
            ));
        }
    }
}
