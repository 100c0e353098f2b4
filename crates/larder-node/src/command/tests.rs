//! The table of commands holds together.

use super::table::{SPECS, find};
use super::*;

#[test]
fn every_command_is_found_by_its_name_in_any_case() {
    for (index, spec) in SPECS.iter().enumerate() {
        assert_eq!(spec.id as usize, index);
        assert_eq!(NAMES[index], spec.name);
        for name in [spec.name.to_owned(), spec.name.to_uppercase()] {
            let found = find(name.as_bytes()).map(|spec| spec.name);
            assert_eq!(found, Some(spec.name));
        }
    }
    for name in ["", "g", "gett", "get ", "averyverylongcommandname"] {
        assert!(find(name.as_bytes()).is_none(), "{name:?}");
    }
}

#[test]
fn key_positions_fit_the_arity() {
    for spec in SPECS {
        let (first, last, step) = spec.keys;
        assert_eq!(first == 0, step == 0, "{}", spec.name);
        assert!(last < 0 || last >= first, "{}", spec.name);
        assert!(first < spec.arity.abs().max(1), "{}", spec.name);
    }
}
