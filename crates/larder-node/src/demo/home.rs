//! The folder of a run: the database and the logs. It goes with the run, unless it is to be kept.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub(super) struct Home {
    dir: PathBuf,
    /// Removes the folder when it is dropped.
    guard: Option<TempDir>,
}

impl Home {
    /// Makes a folder of its own, or takes the one to be kept, which must be new or empty.
    pub(super) fn open(keep: Option<&Path>) -> Result<Home, String> {
        let Some(dir) = keep else {
            let made = tempfile::Builder::new().prefix("larder-demo-").tempdir();
            let guard = made.map_err(|error| format!("a folder cannot be made – {error}"))?;
            return Ok(Home {
                dir: guard.path().to_owned(),
                guard: Some(guard),
            });
        };
        let shown = dir.display();
        let made = fs::create_dir_all(dir).and_then(|()| fs::read_dir(dir));
        let mut inside = made.map_err(|error| format!("--keep {shown} – {error}"))?;
        if inside.next().is_some() {
            return Err(format!("--keep {shown} is not empty – name a new folder"));
        }
        // Nodes are told of it.
        let dir = fs::canonicalize(dir).map_err(|error| format!("--keep {shown} – {error}"))?;
        Ok(Home { dir, guard: None })
    }

    pub(super) fn database(&self) -> PathBuf {
        self.dir.join("catalogue.db")
    }

    /// What the lives of a node have said, one after the other.
    pub(super) fn log(&self, node: &str) -> PathBuf {
        self.dir.join(format!("{node}.log"))
    }

    /// Keeps a text, if the folder is kept.
    pub(super) fn keep(&self, name: &str, text: impl FnOnce() -> String) -> std::io::Result<()> {
        match self.guard {
            Some(_) => Ok(()),
            None => fs::write(self.dir.join(name), text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_the_run_unless_it_is_to_be_kept() {
        let home = Home::open(None).unwrap();
        fs::write(home.database(), "x").unwrap();
        home.keep("a", || unreachable!("nobody would see it"))
            .unwrap();
        let dir = home.dir.clone();
        drop(home);
        assert!(!dir.exists());

        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/b");
        let home = Home::open(Some(&dir)).unwrap();
        home.keep("c", || "text".into()).unwrap();
        drop(home);
        assert_eq!(fs::read_to_string(dir.join("c")).unwrap(), "text");
        let again = Home::open(Some(&dir)).err().unwrap();
        assert!(
            again.ends_with("is not empty – name a new folder"),
            "{again}"
        );
    }
}
