//! One link per pair of nodes, although both dial: who may go on with a greeting, and who gives way.
//!
//! The rule that keeps two nodes from ending with two links, or with none: **a dialler signs its
//! proof only if it has no link to the other, and from then until the greeting ends the node with
//! the smaller name refuses the other's dial, while the one with the greater name gives up its
//! own.** So an acceptor that reads a proof knows that the dialler has no link: if it believes to
//! have one itself, that one is dead, and gives way. Except if its own link was opened after it sent
//! the challenge: then the proof may be older than that link, and is refused.
//!
//! A link of another incarnation gives way only if it has been silent: a node that returns before
//! its death was noticed is told that its name is taken, and tries again.
//!
//! Pure. An exhaustive test runs every order of events of two nodes that dial each other.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::message::Refusal;
use crate::name::{Incarnation, NodeName};

/// The number of a link, or of an attempt at one: never used twice in one life of a node.
pub(crate) type Number = u64;

/// An open link to some life of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Linked {
    number: Number,
    incarnation: Incarnation,
    /// Drawn when it was opened.
    opened: Number,
}

/// What there is to one other node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
struct Pair {
    /// Our own dial, from its proof to its end.
    proving: Option<Number>,
    linked: Option<Linked>,
}

/// All pairs of which this node is one side. As many as there are links and dials.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Pairs {
    me: NodeName,
    pairs: BTreeMap<NodeName, Pair>,
    last: Number,
}

/// A link that is open from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Opened {
    pub(crate) number: Number,
    /// The link that gives way to it.
    pub(crate) replaced: Option<Number>,
}

impl Pairs {
    pub(crate) fn new(me: NodeName) -> Pairs {
        Pairs {
            me,
            pairs: BTreeMap::new(),
            last: 0,
        }
    }

    /// Whether there is a link to this node.
    pub(crate) fn is_linked(&self, name: &NodeName) -> bool {
        self.pairs
            .get(name)
            .is_some_and(|pair| pair.linked.is_some())
    }

    /// Our dial has reached this life of a node: may it be proven that we know the secret? The
    /// number names the attempt. `is_silent` says whether a link that there is has been silent.
    pub(crate) fn prove(
        &mut self,
        name: &NodeName,
        incarnation: Incarnation,
        is_silent: bool,
    ) -> Result<Number, Refusal> {
        let number = self.next();
        let pair = self.pairs.entry(name.clone()).or_default();
        let taken = taken(pair, incarnation, is_silent).err();
        let is_linked = pair.linked.is_some_and(|l| l.incarnation == incarnation);
        let refusal = match taken {
            Some(refusal) => Some(refusal),
            None => (is_linked || pair.proving.is_some()).then_some(Refusal::Duplicate),
        };
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        pair.proving = Some(number);
        Ok(number)
    }

    /// The attempt has ended without a link.
    pub(crate) fn failed(&mut self, name: &NodeName, attempt: Number) {
        if let Some(pair) = self.pairs.get_mut(name)
            && pair.proving == Some(attempt)
        {
            pair.proving = None;
            self.tidy(name);
        }
    }

    /// The other has welcomed our attempt.
    pub(crate) fn welcomed(
        &mut self,
        name: &NodeName,
        incarnation: Incarnation,
        attempt: Number,
    ) -> Result<Opened, Refusal> {
        let opened = self.next();
        match self.pairs.get_mut(name) {
            Some(pair) if pair.proving == Some(attempt) => {
                pair.proving = None;
                Ok(open(pair, attempt, incarnation, opened))
            }
            // It gave way to the other's dial.
            _ => Err(Refusal::Duplicate),
        }
    }

    /// A moment, to be taken before the challenge is sent.
    pub(crate) fn challenge(&mut self) -> Number {
        self.next()
    }

    /// The other has dialled and proven that it knows the secret, after our challenge of that
    /// moment.
    pub(crate) fn accept(
        &mut self,
        name: &NodeName,
        incarnation: Incarnation,
        is_silent: bool,
        challenged: Number,
    ) -> Result<Opened, Refusal> {
        let number = self.next();
        let has_precedence = self.me < *name;
        let pair = self.pairs.entry(name.clone()).or_default();
        taken(pair, incarnation, is_silent)?;
        let may_be_older = pair
            .linked
            .is_some_and(|l| l.incarnation == incarnation && l.opened > challenged);
        if may_be_older || (pair.proving.is_some() && has_precedence) {
            return Err(Refusal::Duplicate);
        }
        pair.proving = None;
        Ok(open(pair, number, incarnation, number))
    }

    /// The link has ended.
    pub(crate) fn closed(&mut self, name: &NodeName, number: Number) {
        if let Some(pair) = self.pairs.get_mut(name)
            && pair.linked.is_some_and(|linked| linked.number == number)
        {
            pair.linked = None;
            self.tidy(name);
        }
    }

    fn tidy(&mut self, name: &NodeName) {
        if self.pairs.get(name) == Some(&Pair::default()) {
            self.pairs.remove(name);
        }
    }

    fn next(&mut self) -> Number {
        self.last += 1;
        self.last
    }
}

/// Whether the name belongs to another life that is still there.
fn taken(pair: &Pair, incarnation: Incarnation, is_silent: bool) -> Result<(), Refusal> {
    let holder = pair.linked.filter(|l| l.incarnation != incarnation);
    match holder {
        Some(_) if !is_silent => Err(Refusal::NameTaken),
        _ => Ok(()),
    }
}

fn open(pair: &mut Pair, number: Number, incarnation: Incarnation, opened: Number) -> Opened {
    let linked = Linked {
        number,
        incarnation,
        opened,
    };
    let replaced = pair.linked.replace(linked);
    Opened {
        number,
        replaced: replaced.map(|linked| linked.number),
    }
}
