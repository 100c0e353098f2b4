//! What the stage and its nodes say to each other: one JSON object a line, over the pipes of the
//! node's process.

use std::io::{BufRead, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use larder_core::Mono;
use serde::{Deserialize, Serialize};

use super::catalogue::{Change, Version};
use super::figures::Figures;

/// The longest line, in bytes. A node that is started again is told of all products at once.
pub(super) const LONGEST: usize = 1 << 20;

/// From the stage to a node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// The first one.
    Start(Start),
    /// Read, until told otherwise.
    Read,
    /// Write, until told otherwise.
    Write,
    /// Commit an update of this product, and go no further.
    Hold { product: u32 },
    /// Somebody else has committed.
    Committed(Stamped),
    /// What somebody else has committed is acknowledged.
    Acknowledged(Stamped),
    /// Say when a read shows this version of the product, or a later one.
    Await { product: u32, version: Version },
    /// Finish the change under way, and make no more.
    StopWriting,
    /// Read no more.
    StopReading,
    /// Say which copies there are.
    Copies,
}

/// From a node to the stage.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum News {
    /// It follows the log and is ready to read.
    Ready,
    /// It cannot start, or not go on.
    Failed {
        why: String,
    },
    Committed(Stamped),
    /// The change that it was told to make and to leave there.
    Held(Stamped),
    Acknowledged(Stamped),
    Figures(Box<Figures>),
    /// A stale read, one of the first few.
    Stale {
        what: String,
    },
    /// A read shows what was awaited, after so many microseconds; `None` if it took too long.
    Awaited {
        version: Version,
        us: Option<u64>,
    },
    StoppedWriting,
    /// All of its figures were told before.
    StoppedReading,
    Copies(Copies),
    /// There are no more.
    CopiesEnd,
}

/// What a node is and where it stands.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) bus: StartBus,
    /// Whether it reads everything once before it is ready.
    pub(super) is_warmed: bool,
    /// What was changed before: products, their versions, and when these are due.
    pub(super) due: Vec<(u32, Version, u64)>,
}

/// How it hears of the others.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum StartBus {
    Mesh {
        secret: String,
        members: Vec<(String, SocketAddr)>,
    },
    Redis {
        url: String,
        key_prefix: String,
    },
    Off,
}

/// A change and the time of an event in its life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stamped {
    pub(super) change: Change,
    /// On the clock that all processes of a machine share.
    pub(super) at: u64,
}

/// Copies as they are in one tier of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copies {
    pub(super) tier: CopyTier,
    pub(super) products: Vec<ProductCopy>,
    pub(super) shelves: Vec<ShelfCopy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CopyTier {
    Near,
    Remote,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProductCopy {
    pub(super) id: u32,
    pub(super) row: super::catalogue::Row,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShelfCopy {
    pub(super) id: u32,
    pub(super) shelf: Shelf,
}

/// What is made from the products of a shelf. It names none of them in what it is invalidated by:
/// its loader has read them through their cache, and so it depends on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shelf {
    /// The versions of its products, in order.
    pub(super) versions: Vec<Version>,
    /// What all of them cost, in cents.
    pub(super) worth: u64,
}

impl Stamped {
    pub(super) fn at(&self) -> Mono {
        Mono(self.at)
    }
}

/// Writes one message as a line, and sends it off.
pub(super) fn write<M: Serialize>(out: &mut impl Write, message: &M) -> std::io::Result<()> {
    out.write_all(&line(message)?)?;
    out.flush()
}

/// A message with the end of its line.
pub(super) fn line<M: Serialize>(message: &M) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads one message; `None` at the end.
pub(super) fn read<M: for<'de> Deserialize<'de>>(
    from: &mut impl BufRead,
    line: &mut Vec<u8>,
) -> std::io::Result<Option<M>> {
    line.clear();
    from.by_ref().take(LONGEST as u64).read_until(b'\n', line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() >= LONGEST {
        return Err(std::io::Error::other("a line is too long"));
    }
    Ok(Some(serde_json::from_slice(line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_until_the_end() {
        let mut lines = Vec::new();
        let order = Order::Await {
            product: 7,
            version: 9,
        };
        write(&mut lines, &order).unwrap();
        write(&mut lines, &Order::Copies).unwrap();
        let (mut from, mut line) = (&lines[..], Vec::new());
        let first: Option<Order> = read(&mut from, &mut line).unwrap();
        assert!(matches!(
            first,
            Some(Order::Await {
                product: 7,
                version: 9
            })
        ));
        let second: Option<Order> = read(&mut from, &mut line).unwrap();
        assert!(matches!(second, Some(Order::Copies)));
        let end: Option<Order> = read(&mut from, &mut line).unwrap();
        assert!(end.is_none());
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = vec![b' '; LONGEST + 1];
        let mut line = Vec::new();
        assert!(read::<Order>(&mut &endless[..], &mut line).is_err());
        assert!(line.len() <= LONGEST);
    }
}
