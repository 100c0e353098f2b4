//! The two protocol versions a connection can speak.

/// The version of RESP that replies are written in.
///
/// Requests look the same in both. A connection starts in [`Protocol::Resp2`] and changes with
/// `HELLO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// The protocol every client knows: five types, two of them with a null form.
    #[default]
    Resp2,
    /// The protocol with maps, sets, doubles, booleans and pushes.
    Resp3,
}

impl Protocol {
    /// Returns the protocol that `HELLO <number>` asks for, or `None` for an unknown number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            2 => Some(Self::Resp2),
            3 => Some(Self::Resp3),
            _ => None,
        }
    }

    /// Returns the number that `HELLO` reports.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}
