//! Patterns: no panic, and no pattern that takes long.
#![no_main]

use larder_core::glob;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (pattern, text) = input;
    let escaped: Vec<u8> = text.iter().flat_map(|&byte| [b'\\', byte]).collect();
    assert!(
        glob::matches(&escaped, text),
        "a text matches itself, escaped"
    );
    let _ = glob::matches(pattern, text);
});
