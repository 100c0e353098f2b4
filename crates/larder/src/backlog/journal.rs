//! The file of a backlog: what waits, so that the next process finds it.
//!
//! A line that says what it is, and then one frame for each change: its length, a hash, and the change.
//! A frame that is cut short or damaged ends the file, as it does when a process dies while it writes;
//! since nobody was told of that change, nothing is lost.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};
use larder_core::area::Area;
use larder_core::backlog::{Backlog, Late, Moment};
use larder_core::limits::MAX_KEY_BYTES;
use larder_core::runtime::{Mono, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

const HEAD: &[u8] = b"larder backlog 1\n";
/// Length and hash.
const FRAME: usize = 12;
/// No frame is longer: a key, and what stands before it.
const LONGEST: usize = MAX_KEY_BYTES + 64;
/// Beyond this the file becomes one invalidation of the whole cache.
const MOST: u64 = 64 << 20;

/// One change that waits.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry {
    Key(Bytes, Late, Moment),
    Tag(Bytes),
    Area(Area),
    Everything,
}

impl Entry {
    pub(super) fn add_to(self, waiting: &mut Backlog) {
        match self {
            Entry::Key(key, late, moment) => waiting.add(key, late, moment),
            Entry::Tag(tag) => waiting.add_tag(tag),
            Entry::Area(area) => waiting.add_area(area),
            Entry::Everything => waiting.add_everything(),
        }
    }

    /// A value is not written: of its key only that it was changed.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        match self {
            Entry::Key(key, late, moment) => {
                payload.put_u8(if *late == Late::Expire { 1 } else { 0 });
                payload.put_u64(moment.store.0);
                payload.put_u64(moment.here.0);
                payload.put_slice(key);
            }
            Entry::Tag(tag) => {
                payload.put_u8(2);
                payload.put_slice(tag);
            }
            Entry::Area(area) => {
                let (kind, bytes) = area.parts();
                payload.put_u8(3);
                payload.put_u8(kind);
                payload.put_slice(bytes);
            }
            Entry::Everything => payload.put_u8(4),
        }
        let mut frame = Vec::with_capacity(FRAME + payload.len());
        frame.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        frame.put_u64(xxh3_64(&payload));
        frame.put_slice(&payload);
        frame
    }

    fn decode(mut payload: &[u8]) -> Option<Entry> {
        let kind = payload.try_get_u8().ok()?;
        Some(match kind {
            0 | 1 => {
                let store = Timestamp(payload.try_get_u64().ok()?);
                let here = Mono(payload.try_get_u64().ok()?);
                let late = if kind == 1 {
                    Late::Expire
                } else {
                    Late::Remove
                };
                let key = Bytes::copy_from_slice(payload);
                Entry::Key(key, late, Moment { store, here })
            }
            2 => Entry::Tag(Bytes::copy_from_slice(payload)),
            3 => {
                let kind = payload.try_get_u8().ok()?;
                Entry::Area(Area::from_parts(kind, Bytes::copy_from_slice(payload))?)
            }
            4 => Entry::Everything,
            _ => return None,
        })
    }
}

/// The file, open.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Journal {
    /// Opens the file of a cache, makes it if there is none, and gives what it holds. The error says
    /// what is wrong, and where.
    pub(super) fn open(directory: &Path, cache: &str) -> Result<(Journal, Vec<Entry>), String> {
        let path = directory.join(format!("{}.backlog", file_name(cache)));
        let wrong = |why: &dyn std::fmt::Display| format!("backlog {}: {why}", path.display());
        std::fs::create_dir_all(directory).map_err(|error| wrong(&error))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| wrong(&error))?;
        if file.try_lock().is_err() {
            return Err(wrong(
                &"another process has it open; give each its own directory",
            ));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| wrong(&error))?;
        if !bytes.is_empty() && !HEAD.starts_with(&bytes) && !bytes.starts_with(HEAD) {
            return Err(wrong(&"it is no backlog of a version that is known here"));
        }
        let (found, sound) = read(&bytes);
        let mut journal = Journal {
            path: path.clone(),
            file,
            length: sound as u64,
        };
        journal.settle().map_err(|error| wrong(&error))?;
        Ok((journal, found))
    }

    /// Ends the file where its last sound frame ends.
    fn settle(&mut self) -> std::io::Result<()> {
        if self.length < HEAD.len() as u64 {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(HEAD)?;
            self.length = HEAD.len() as u64;
        }
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.sync_data()
    }

    /// Writes these frames, and waits for the disk. On an error none of them is there.
    pub(super) fn append(&mut self, frames: &[Vec<u8>]) -> Result<(), String> {
        let mut bytes = frames.concat();
        if self.length + bytes.len() as u64 > MOST {
            bytes = Entry::Everything.encode();
            self.length = HEAD.len() as u64;
            self.settle().map_err(|error| self.wrong(&error))?;
        }
        let written = self
            .file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What was written of it must not stand before what comes later.
                let _ = self.settle();
                Err(self.wrong(&error))
            }
        }
    }

    /// Nothing waits any more.
    pub(super) fn clear(&mut self) -> Result<(), String> {
        self.length = HEAD.len() as u64;
        self.settle().map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &std::io::Error) -> String {
        format!("{}: {error}", self.path.display())
    }
}

/// The changes of a file, and how long its sound part is.
fn read(bytes: &[u8]) -> (Vec<Entry>, usize) {
    let mut found = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(HEAD) else {
        return (found, 0);
    };
    loop {
        let sound = bytes.len() - rest.len();
        let Some(entry) = frame(&mut rest) else {
            return (found, sound);
        };
        found.push(entry);
    }
}

fn frame(rest: &mut &[u8]) -> Option<Entry> {
    let mut at = *rest;
    let length = at.try_get_u32().ok()? as usize;
    let hash = at.try_get_u64().ok()?;
    let payload = at.get(..length).filter(|_| length <= LONGEST)?;
    let entry = Entry::decode(payload).filter(|_| xxh3_64(payload) == hash)?;
    *rest = &at[length..];
    Some(entry)
}

/// The name of a cache as that of a file: what has a meaning in paths is spelled out.
fn file_name(cache: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02x}"),
    };
    cache.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let moment = Moment {
            store: Timestamp(5),
            here: Mono(7),
        };
        vec![
            Entry::Key(Bytes::from_static(b"app:1"), Late::Remove, moment),
            Entry::Key(Bytes::new(), Late::Expire, moment),
            Entry::Tag(Bytes::from_static(b"\0tag")),
            Entry::Area(Area::prefix(b"shoes").expect("a prefix")),
            Entry::Everything,
        ]
    }

    fn frames() -> Vec<Vec<u8>> {
        entries().iter().map(Entry::encode).collect()
    }

    #[test]
    fn what_is_written_is_found_by_the_next_process() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut journal, found) = Journal::open(directory.path(), "app:users").expect("it opens");
        assert_eq!(found, []);
        journal.append(&frames()[..2]).expect("it is written");
        journal.append(&frames()[2..]).expect("it is written");
        let other = Journal::open(directory.path(), "app:users").expect_err("it is in use");
        assert!(other.contains("another process"), "{other}");
        drop(journal);
        let (mut journal, found) = Journal::open(directory.path(), "app:users").expect("it opens");
        assert_eq!(found, entries());
        journal.clear().expect("it is emptied");
        drop(journal);
        assert_eq!(
            Journal::open(directory.path(), "app:users")
                .expect("it opens")
                .1,
            []
        );
        assert_eq!(
            Journal::open(directory.path(), "app/users")
                .expect("it opens")
                .1,
            []
        );
    }

    #[test]
    fn wherever_a_file_is_cut_or_damaged_what_stands_before_is_found_and_more_can_be_written() {
        let whole: Vec<u8> = [HEAD.to_vec(), frames().concat()].concat();
        for cut in 0..whole.len() {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("a.backlog");
            let mut bytes = whole.clone();
            if cut % 2 == 0 {
                bytes.truncate(cut);
            } else if cut >= HEAD.len() {
                bytes[cut] ^= 0x40;
            }
            std::fs::write(&path, &bytes).expect("it is written");
            let (mut journal, found) = Journal::open(directory.path(), "a").expect("it opens");
            assert_eq!(found[..], entries()[..found.len()], "cut at {cut}");
            journal.append(&frames()[..1]).expect("it is written");
            drop(journal);
            let (_, again) = Journal::open(directory.path(), "a").expect("it opens");
            assert_eq!(again.len(), found.len() + 1, "cut at {cut}");
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_is_an_error_that_names_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut journal, _) = Journal::open(directory.path(), "a").expect("it opens");
        journal.file = File::open(&journal.path).expect("it is there");
        let error = journal.append(&frames()).expect_err("it cannot be written");
        assert!(error.contains("a.backlog"), "{error}");
        drop(journal);
        let (_, found) = Journal::open(directory.path(), "a").expect("it opens");
        assert_eq!(found, []);
    }

    #[test]
    fn a_file_of_something_else_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.backlog");
        std::fs::write(&path, b"larder backlog 2\nwhatever").expect("it is written");
        let error = Journal::open(directory.path(), "a").expect_err("it is unknown");
        assert!(error.contains("no backlog of a version"), "{error}");
        assert_eq!(std::fs::read(&path).expect("it is there").len(), 25);
    }
}
