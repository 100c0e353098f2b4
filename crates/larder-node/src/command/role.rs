//! `ROLE`: says that this is a master without replicas, which is what lets clients write.
//!
//! ```text
//! *1 $4 ROLE  →  *3 $6 master :0 *0
//! ```
//!
//! O(1); no round trip.

use super::{Call, Outcome};

pub(super) async fn role(call: &mut Call<'_>) -> Outcome {
    let mut reply = call.reply();
    reply.array_len(3);
    reply.bulk("master");
    reply.integer(0);
    reply.array_len(0);
    Ok(())
}
