//! `MGET key…`: returns the values of several keys.
//!
//! ```text
//! *3 $4 MGET $1 a $1 b  →  *2 $5 value null
//! ```
//!
//! O(N); one round trip per shard of a remote store for keys without a near copy. Not a snapshot across keys.

use bytes::Bytes;

use super::{Call, Failure, Outcome};

pub(super) async fn mget(call: &mut Call<'_>) -> Outcome {
    let keys = call.keys(1, 1)?;
    let values = call.database().values(&keys).await?;
    let hits = values.iter().flatten().count();
    call.count_reads(hits as u64, (values.len() - hits) as u64);
    let bytes: usize = values.iter().flatten().map(Bytes::len).sum();
    call.check_reply_bytes(bytes)?;
    let mut reply = call.reply();
    reply.array_len(values.len());
    for value in values {
        match value {
            Some(value) => reply.bulk(&value),
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
