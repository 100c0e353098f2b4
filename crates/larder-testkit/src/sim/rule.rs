//! A rule that can be taken out of what runs: of the engine, or of the scripts of the simulated server.

use larder_core::mutant::{self, Mutant};

use crate::simredis::mutants::{self as scripts, ScriptMutant};

/// A rule that can be taken out.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Of the engine, or of the embedded store.
    Engine(Mutant),
    /// Of the scripts.
    Script(&'static ScriptMutant),
}

impl Rule {
    /// The rule of this name.
    pub fn named(name: &str) -> Option<Rule> {
        let is_named = |mutant: &Mutant| format!("{mutant:?}").eq_ignore_ascii_case(name);
        let mut known = Mutant::ALL
            .into_iter()
            .chain(Mutant::SCENARIOS)
            .chain(Mutant::MESH)
            .chain(Mutant::MESH_NODES);
        let engine = known.find(is_named).map(Rule::Engine);
        engine.or_else(|| ScriptMutant::named(name).map(Rule::Script))
    }

    /// What it is called.
    pub fn name(self) -> String {
        match self {
            Rule::Engine(mutant) => format!("{mutant:?}"),
            Rule::Script(mutant) => mutant.name.to_owned(),
        }
    }

    /// Puts it in its place, and takes out the rules of the engine that hide its loss.
    pub(super) fn out_but_masks(self) -> mutant::Active {
        match self {
            Rule::Engine(rule) => mutant::activate_masks(rule),
            Rule::Script(_) => mutant::activate(None),
        }
    }
}

/// Puts a rule back when dropped.
pub struct Out {
    _kept: Kept,
}

/// Held for their drop.
enum Kept {
    Engine { _active: mutant::Active },
    Script { _active: scripts::Active },
}

/// Takes out a rule, or nothing, on this thread until the guard is dropped.
#[must_use]
pub fn take_out(rule: Option<Rule>) -> Out {
    let engine = |mutant| Kept::Engine {
        _active: mutant::activate(mutant),
    };
    let kept = match rule {
        Some(Rule::Script(mutant)) => Kept::Script {
            _active: scripts::activate(Some(mutant)),
        },
        Some(Rule::Engine(mutant)) => engine(Some(mutant)),
        None => engine(None),
    };
    Out { _kept: kept }
}
