//! `MGET key…`: returns the values of several keys.
//!
//! ```text
//! *3 $4 MGET $1 a $1 b  →  *2 $5 value null
//! ```
//!
//! O(N); one round trip per shard of a remote store. Not a snapshot across keys.

use super::{Call, Failure, Outcome};

pub(super) async fn mget(call: &mut Call<'_>) -> Outcome {
    let keys = call.keys(1, 1)?;
    let items = call.database().get_many(&keys).await?;
    let hits = items.iter().flatten().count();
    call.count_reads(hits as u64, (items.len() - hits) as u64);
    let bytes: usize = items.iter().flatten().map(|item| item.value.len()).sum();
    call.check_reply_bytes(bytes)?;
    let mut reply = call.reply();
    reply.array_len(items.len());
    for item in items {
        match item {
            Some(item) => reply.bulk(&item.value),
            None => reply.null(),
        }
    }
    Ok(())
}

impl Call<'_> {
    /// Refuses a reply that would cost the client its connection, before memory is spent on it.
    pub(super) fn check_reply_bytes(&self, bytes: usize) -> Result<(), Failure> {
        let most = self.session.shared.node.settings.resp.max_output;
        if bytes > most {
            return Err(Failure::new(format!(
                "ERR the reply would be {bytes} bytes and the limit is {most}; ask for less at once"
            )));
        }
        Ok(())
    }
}
