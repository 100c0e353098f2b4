//! What is asked of SQLite.
//!
//! The table is a format: programs in other languages, and triggers, insert into it by plain SQL with
//! whatever SQLite they bring along. So its defaults use nothing that is not in every SQLite 3, and a
//! change that older readers would misread needs another table, hence the number in its name.

/// The table.
pub(super) const TABLE: &str = "larder_outbox_v1";

/// Milliseconds since 1970. `unixepoch('subsec')` would be shorter, and is NULL before 3.42.
macro_rules! now {
    () => {
        "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    };
}

/// Nobody holds the row. Asked in this way and not as `held_ms + held_for_ms <= now`, so that a clock
/// that is set back frees rows instead of holding them until it has caught up.
macro_rules! is_free {
    () => {
        concat!(
            "(",
            now!(),
            " < held_ms OR ",
            now!(),
            " >= held_ms + held_for_ms)"
        )
    };
}

/// The kinds that this version knows: [`larder_core::outbox::What::KINDS`].
macro_rules! is_known {
    () => {
        "kind IN ('key', 'tag', 'prefix', 'pattern', 'dependents', 'clear')"
    };
}

/// Rows that are looked at to see how much waits.
macro_rules! counted {
    () => {
        "20000"
    };
}

// AUTOINCREMENT: without it the number of a deleted row is given again, and whoever deletes late
// deletes a row that nobody has seen. The index has the number as its last column, as all have.
pub(super) const CREATE: &str = concat!(
    "CREATE TABLE IF NOT EXISTS larder_outbox_v1 (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        cache TEXT NOT NULL CHECK (length(cache) <= 128),
        kind TEXT NOT NULL CHECK (length(kind) <= 32),
        body BLOB NOT NULL DEFAULT x'' CHECK (length(CAST(body AS BLOB)) <= 65536),
        recorded_ms INTEGER NOT NULL DEFAULT (",
    now!(),
    "),
        held_ms INTEGER NOT NULL DEFAULT 0,
        held_for_ms INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX IF NOT EXISTS larder_outbox_v1_by_cache ON larder_outbox_v1 (cache);"
);

/// Caches of the list ?1 for which there is something beside the rows in the list ?2.
pub(super) const WAITING: &str = concat!(
    "SELECT wanted.value FROM json_each(?1) AS wanted WHERE EXISTS (
        SELECT 1 FROM larder_outbox_v1 WHERE cache = wanted.value AND ",
    is_known!(),
    " AND ",
    is_free!(),
    " AND id NOT IN (SELECT value FROM json_each(?2)))"
);

/// At most ?3 rows of the cache ?1 beside those in the list ?2.
macro_rules! chosen {
    () => {
        concat!(
            "cache = ?1 AND ",
            is_known!(),
            " AND ",
            is_free!(),
            " AND id NOT IN (SELECT value FROM json_each(?2)) ORDER BY id LIMIT ?3"
        )
    };
}

macro_rules! columns {
    () => {
        concat!("id, kind, CAST(body AS BLOB), ", now!(), " - recorded_ms")
    };
}

/// Holds the chosen rows for ?4 ms and returns them.
pub(super) const CLAIM: &str = concat!(
    "UPDATE larder_outbox_v1 SET held_ms = ",
    now!(),
    ", held_for_ms = ?4 WHERE id IN (SELECT id FROM larder_outbox_v1 WHERE ",
    chosen!(),
    ") RETURNING ",
    columns!()
);

/// Returns the chosen rows.
pub(super) const LOOK: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM larder_outbox_v1 WHERE ",
    chosen!()
);

/// Deletes the rows in the list ?1.
pub(super) const DONE: &str =
    "DELETE FROM larder_outbox_v1 WHERE id IN (SELECT value FROM json_each(?1))";

/// Holds the rows in the list ?1 for ?2 ms from now.
pub(super) const POSTPONE: &str = concat!(
    "UPDATE larder_outbox_v1 SET held_ms = ",
    now!(),
    ", held_for_ms = ?2 WHERE id IN (SELECT value FROM json_each(?1))"
);

/// How much there is, among the oldest rows.
pub(super) const BACKLOG: &str = concat!(
    "SELECT cache, kind, count(*), max(0, ",
    now!(),
    " - min(recorded_ms)) FROM (SELECT cache, kind, recorded_ms FROM larder_outbox_v1
        ORDER BY id LIMIT ",
    counted!(),
    ") GROUP BY cache, kind"
);

#[cfg(test)]
mod tests {
    use super::*;
    use larder_core::outbox::What;

    #[test]
    fn the_statements_know_every_kind_and_the_table() {
        for kind in What::KINDS {
            assert!(is_known!().contains(&format!("'{kind}'")), "{kind}");
        }
        assert_eq!(is_known!().matches('\'').count(), 2 * What::KINDS.len());
        for statement in [CREATE, WAITING, CLAIM, LOOK, DONE, POSTPONE, BACKLOG] {
            assert!(statement.contains(TABLE));
        }
    }
}
