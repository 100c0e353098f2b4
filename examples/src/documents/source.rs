//! The source that the samples call `Accounts`: a table that counts how often it is asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) name: String,
}

#[derive(Debug)]
pub(super) struct NotFound;

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such row")
    }
}

impl std::error::Error for NotFound {}

#[derive(Clone, Default)]
pub(super) struct Accounts {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    names: HashMap<u64, String>,
    queries: u64,
}

impl Accounts {
    /// A table with user 7, Ada.
    pub(super) fn with_ada() -> Accounts {
        let accounts = Accounts::default();
        accounts.table.lock().unwrap().names.insert(7, "Ada".into());
        accounts
    }

    pub(super) async fn get_user(&self, id: u64) -> Result<User, NotFound> {
        let mut table = self.table.lock().unwrap();
        table.queries += 1;
        let name = table.names.get(&id).cloned().ok_or(NotFound)?;
        Ok(User { id, name })
    }

    pub(super) async fn update_user(&self, id: u64, name: &str) -> Result<(), NotFound> {
        let mut table = self.table.lock().unwrap();
        let old = table.names.get_mut(&id).ok_or(NotFound)?;
        name.clone_into(old);
        Ok(())
    }

    pub(super) fn queries(&self) -> u64 {
        self.table.lock().unwrap().queries
    }
}
