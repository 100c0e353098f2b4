//! Which life a plain write gets.

use larder_core::glob;
use larder_core::record::Life;

use crate::settings::TtlSettings;

/// The configured lives: the first named cache whose pattern covers a key, else the default.
pub(crate) struct Lives {
    named: Vec<(Vec<u8>, Life)>,
    default: Life,
}

impl Lives {
    pub(crate) fn new(settings: &TtlSettings) -> Lives {
        let life = |ttl: std::time::Duration| {
            Life::fresh_for_ms(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
        };
        Lives {
            named: settings
                .named
                .iter()
                .map(|named| (named.pattern.clone(), life(named.ttl)))
                .collect(),
            default: settings.default.map_or(Life::FOREVER, life),
        }
    }

    #[inline]
    pub(crate) fn of(&self, key: &[u8]) -> Life {
        self.named
            .iter()
            .find(|(pattern, _)| glob::matches(pattern, key))
            .map_or(self.default, |(_, life)| *life)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::NamedTtl;

    #[test]
    fn the_first_pattern_that_covers_a_key_decides() {
        let named = |pattern: &str, seconds| NamedTtl {
            name: pattern.to_owned(),
            pattern: pattern.as_bytes().to_vec(),
            ttl: Duration::from_secs(seconds),
        };
        let lives = Lives::new(&TtlSettings {
            default: None,
            named: vec![named("user:1*", 1), named("user:*", 2)],
        });
        assert_eq!(lives.of(b"user:17"), Life::fresh_for_ms(1_000));
        assert_eq!(lives.of(b"user:2"), Life::fresh_for_ms(2_000));
        assert_eq!(lives.of(b"other"), Life::FOREVER);
    }
}
