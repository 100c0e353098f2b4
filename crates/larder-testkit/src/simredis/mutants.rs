//! Rules of the scripts that can be taken out, as switches do it for the engine: a piece of a script's
//! text is replaced by another one when the simulated server makes the script ready to run.
//!
//! Production has no switch: the texts that a client sends, and the hashes by which it calls them,
//! are what they are. Only this server, on a thread that says so, runs something else.

mod locks;
mod records;
mod shard;

use std::cell::Cell;

/// A rule of the scripts that can be taken out.
#[derive(Debug)]
pub struct ScriptMutant {
    /// What it is called.
    pub name: &'static str,
    /// What is no longer done.
    pub what: &'static str,
    /// The file with the piece.
    pub file: &'static str,
    /// The piece, which is there once.
    pub piece: &'static str,
    /// What stands in its place.
    pub instead: &'static str,
    /// The claim of the conformance suite that does not hold then: `group::claim`.
    pub noticed: &'static str,
}

static RECORDS: [ScriptMutant; records::RECORDS.len()] = records::RECORDS;
static LOCKS: [ScriptMutant; locks::LOCKS.len()] = locks::LOCKS;
static SHARD: [ScriptMutant; shard::SHARD.len()] = shard::SHARD;

impl ScriptMutant {
    /// Every mutant.
    pub fn all() -> impl Iterator<Item = &'static ScriptMutant> {
        RECORDS.iter().chain(&SHARD).chain(&LOCKS)
    }

    /// The mutant of this name.
    pub fn named(name: &str) -> Option<&'static ScriptMutant> {
        let is_named = |mutant: &&ScriptMutant| mutant.name.eq_ignore_ascii_case(name);
        ScriptMutant::all().find(is_named)
    }

    /// A script without the rule, or nothing if it has none of it.
    fn rewritten(&self, text: &str) -> Option<String> {
        let (before, after) = text.split_once(self.piece)?;
        Some([before, self.instead, after].concat())
    }
}

thread_local! {
    static ACTIVE: Cell<Option<&'static ScriptMutant>> = const { Cell::new(None) };
}

/// Takes out this rule, or nothing, on this thread until the guard is dropped.
#[must_use]
pub fn activate(mutant: Option<&'static ScriptMutant>) -> Active {
    ACTIVE.set(mutant);
    Active(())
}

/// Puts the rule back when dropped.
#[derive(Debug)]
pub struct Active(());

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.set(None);
    }
}

/// What is to run in place of a script, and by what name it is known; nothing if that is the script
/// itself.
pub(super) fn instead_of(hash: &str, text: &[u8]) -> Option<(String, Vec<u8>)> {
    let mutant = ACTIVE.get()?;
    let text = mutant.rewritten(std::str::from_utf8(text).ok()?)?;
    Some((format!("{hash} {}", mutant.name), text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use larder_redis::wire;

    use super::*;

    #[test]
    fn every_piece_is_there_once_and_every_mutant_has_a_name_of_its_own() {
        let scripts = wire::scripts();
        let mut names = BTreeSet::new();
        for mutant in ScriptMutant::all() {
            let name = mutant.name;
            assert!(names.insert(name), "{name} is there twice");
            let count = |text: &str| text.matches(mutant.piece).count();
            let found = scripts.iter().map(|(_, text)| count(text));
            let found: Vec<usize> = found.filter(|found| *found > 0).collect();
            assert!(!found.is_empty(), "{name}: no script has the piece");
            assert!(found.iter().all(|found| *found == 1), "{name}: {found:?}");
            let file = wire::script_file(mutant.file).expect("there is such a file");
            assert_eq!(count(file), 1, "{name}: {}", mutant.file);
        }
    }

    #[test]
    fn every_mutant_can_be_compiled() {
        for mutant in ScriptMutant::all() {
            for (_, text) in wire::scripts() {
                let Some(text) = mutant.rewritten(text) else {
                    continue;
                };
                let hash = sha1_smol::Sha1::from(&text).digest().to_string();
                let compiled = super::super::script::compile(&hash, text.as_bytes());
                assert_eq!(compiled, Ok(()), "{}", mutant.name);
            }
        }
    }

    #[test]
    fn a_rule_is_taken_out_on_this_thread_until_it_is_put_back() {
        let mutant = ScriptMutant::named("fillToken").expect("there is one");
        let text = wire::script_file("fill.lua").expect("there is such a file");
        let is_out = || instead_of("hash", text.as_bytes()).is_some();
        assert!(!is_out());
        let active = activate(Some(mutant));
        assert!(is_out());
        let elsewhere = std::thread::spawn(|| ACTIVE.get().is_some()).join();
        assert!(!elsewhere.expect("nothing panics there"));
        drop(active);
        assert!(!is_out());
    }
}
