//! The scripts that a node remembers by their hashes.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::forms::Form;

/// Hashes that are remembered at most. The same script has another hash for each way to write it, and
/// clients have a few.
const MOST: usize = 1_024;

/// Scripts by their SHA-1 in lower case.
#[derive(Default)]
pub(crate) struct Scripts(Mutex<BTreeMap<Vec<u8>, Form>>);

impl Scripts {
    pub(super) fn get(&self, sha1: &[u8]) -> Option<Form> {
        self.0.lock().get(sha1).copied()
    }

    /// Where there are too many, all are forgotten: clients send theirs again.
    pub(super) fn add(&self, sha1: &str, form: Form) {
        let mut scripts = self.0.lock();
        if scripts.len() >= MOST && !scripts.contains_key(sha1.as_bytes()) {
            scripts.clear();
        }
        scripts.insert(sha1.as_bytes().to_vec(), form);
    }

    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}
