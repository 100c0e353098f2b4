//! What was found: one line for each look, and what follows from all of them.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    /// It could not be looked at.
    NotChecked,
    /// It works, but not as well as it could, or not always.
    Warning,
    /// It does not work, or not as promised.
    Problem,
}

impl Level {
    pub(super) const ALL: [Level; 4] =
        [Level::Problem, Level::Warning, Level::Ok, Level::NotChecked];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::NotChecked => "not checked",
            Level::Warning => "warning",
            Level::Problem => "problem",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at, in a word.
    pub(super) check: &'static str,
    pub(super) level: Level,
    pub(super) what: String,
    /// What follows from it; empty where nothing does.
    pub(super) why: String,
    /// What to do about it.
    pub(super) advice: String,
}

/// All of them, in the order in which they were looked for.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
    is_unreachable: bool,
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Problem,
    Unreachable,
}

impl Findings {
    pub(super) fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(check, Level::Ok, what, "", "");
    }

    pub(super) fn not_checked(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(check, Level::NotChecked, what, "", "");
    }

    pub(super) fn warning(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, Level::Warning, what, why, advice);
    }

    pub(super) fn problem(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, Level::Problem, what, why, advice);
    }

    /// The server cannot be reached: there is nothing more to look at.
    pub(super) fn unreachable(
        &mut self,
        check: &'static str,
        what: impl Into<String>,
        why: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.problem(check, what, why, advice);
        self.is_unreachable = true;
    }

    /// The server stopped answering in the middle.
    pub(super) fn interrupted(&mut self, error: &str, is_slow: bool) {
        let advice = if is_slow {
            "look whether the server is overloaded, frozen, or far away"
        } else {
            "look at the log of the server, and try again"
        };
        self.unreachable(
            "connection",
            format!("it was lost while looking: {error}"),
            "what stands above is all that could be looked at",
            advice,
        );
    }

    pub(super) fn verdict(&self) -> Verdict {
        if self.is_unreachable {
            Verdict::Unreachable
        } else if self.list.iter().any(|found| found.level == Level::Problem) {
            Verdict::Problem
        } else {
            Verdict::Fine
        }
    }

    pub(super) fn count(&self, level: Level) -> usize {
        self.list
            .iter()
            .filter(|found| found.level == level)
            .count()
    }

    fn add(
        &mut self,
        check: &'static str,
        level: Level,
        what: impl Into<String>,
        why: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.list.push(Finding {
            check,
            level,
            what: what.into(),
            why: why.into(),
            advice: advice.into(),
        });
    }
}
