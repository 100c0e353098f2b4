//! `KEYS pattern`: returns the keys that match.
//!
//! ```text
//! *2 $4 KEYS $2 a*  →  *1 $3 abc
//! ```
//!
//! O(N) over all keys of the database, in steps between which other connections get their turn;
//! many round trips to a remote store. `SCAN` is the polite way.

use larder_core::glob;

use super::{Call, Outcome};

/// Keys between two turns of others.
const STEP: usize = 1_000;

pub(super) async fn keys(call: &mut Call<'_>) -> Outcome {
    let pattern = call.argument(1);
    let (mut cursor, mut found, mut bytes) = (0, Vec::new(), 0);
    loop {
        let page = call.database().scan(cursor, STEP).await?;
        for key in page.keys {
            if glob::matches(pattern, &key) {
                bytes += key.len();
                found.push(key);
            }
        }
        call.check_reply_bytes(bytes)?;
        cursor = page.next;
        if cursor == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    // A store that grows its table during the walk may show a key twice.
    found.sort_unstable();
    found.dedup();
    let mut reply = call.reply();
    reply.array_len(found.len());
    for key in found {
        reply.bulk(&key);
    }
    Ok(())
}
