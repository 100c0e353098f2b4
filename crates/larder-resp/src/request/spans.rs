//! The places of a command's arguments, kept without allocation for the commands that matter.

use std::ops::Range;

/// Arguments held in place. `SET key value PX 1000 NX` has six.
const IN_PLACE: usize = 6;

/// One argument's place within the frame.
///
/// 32 bits are enough: `Limits::max_command_bytes` counts as at most `u32::MAX`.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    pub(super) fn new(start: usize, len: usize) -> Self {
        let narrow = |number| u32::try_from(number).expect("frames are limited to 4 GiB");
        Self {
            start: narrow(start),
            len: narrow(len),
        }
    }

    pub(super) fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

/// A list of places that moves to the heap when it outgrows a few.
#[derive(Clone)]
pub(super) enum Spans {
    InPlace { len: u8, items: [Span; IN_PLACE] },
    Heap(Vec<Span>),
}

impl Spans {
    #[inline]
    pub(super) fn push(&mut self, span: Span) {
        match self {
            Self::InPlace { len, items } => match items.get_mut(usize::from(*len)) {
                Some(item) => {
                    *item = span;
                    *len += 1;
                }
                None => *self = spill(items, span),
            },
            Self::Heap(list) => list.push(span),
        }
    }

    pub(super) fn as_slice(&self) -> &[Span] {
        match self {
            Self::InPlace { len, items } => &items[..usize::from(*len)],
            Self::Heap(list) => list,
        }
    }
}

impl Default for Spans {
    fn default() -> Self {
        Self::InPlace {
            len: 0,
            items: [Span::default(); IN_PLACE],
        }
    }
}

#[cold]
fn spill(items: &[Span], next: Span) -> Spans {
    let mut list = Vec::with_capacity(4 * items.len());
    list.extend_from_slice(items);
    list.push(next);
    Spans::Heap(list)
}
