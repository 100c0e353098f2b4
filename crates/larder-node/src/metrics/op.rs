//! The kinds of operation by which latency is told apart.

/// What a command does to the store, as far as its cost is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Get,
    Set,
    Delete,
    Expire,
    Incr,
    Scan,
    Other,
}

impl Op {
    /// All of them, each at its own index.
    pub(crate) const ALL: [Op; 7] = [
        Op::Get,
        Op::Set,
        Op::Delete,
        Op::Expire,
        Op::Incr,
        Op::Scan,
        Op::Other,
    ];

    /// The value of the label `op`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Op::Get => "get",
            Op::Set => "set",
            Op::Delete => "delete",
            Op::Expire => "expire",
            Op::Incr => "incr",
            Op::Scan => "scan",
            Op::Other => "other",
        }
    }

    /// Its position in [`Op::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}
