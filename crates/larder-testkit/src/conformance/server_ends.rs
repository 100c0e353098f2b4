//! What a record holds on the server ends when the record does.

use larder_core::record::Life;
use larder_core::store::{Fill, Put, Write};

use super::subject::{ANY_CUT, LONG, Subject, bytes, fine, put_long, put_of, token};

/// Its lease had kept the key for longer.
pub async fn a_confirmed_record_ends_on_the_server_too(subject: &Subject) {
    subject.write("k", put_long("v")).await;
    subject.write("k", Write::Expire).await;
    let old = subject.granted("k", 1).await.expect("it comes along");
    let longer = format!("assert(redis.call('PTTL', held) > {LONG})");
    subject.meddle(b"k", &longer);
    let put = Put {
        cut: ANY_CUT,
        ..put_of("", Life::fresh_for_ms(LONG))
    };
    let key = bytes("k");
    let confirmed = subject.leases().confirm(&key, token(1), old.version, put);
    let filled = fine(confirmed.await);
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    let no_longer =
        format!("local left = redis.call('PTTL', held) assert(left > 0 and left <= {LONG})");
    subject.meddle(b"k", &no_longer);
}
