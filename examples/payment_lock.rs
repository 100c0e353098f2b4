//! A payment that must not be made twice: a lock keeps two workers apart, and its fencing token keeps
//! apart what a lock cannot, a worker that stood still for too long and goes on.
//!
//! With `Redis::open("redis://cache:6379")?` in place of the embedded store, the workers are processes.

use std::sync::Arc;
use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Cache, ErrorKind, FencingToken, Near, TokioRuntime};

type Payments = Cache<u64, String>;

/// The books: they remember the greatest token of each order, and refuse smaller ones. In SQL:
/// `UPDATE payments SET state = 'paid', fence = $1 WHERE order_id = $2 AND fence <= $1`.
#[derive(Default)]
struct Books(std::collections::HashMap<u64, (FencingToken, String)>);

impl Books {
    fn write(&mut self, order: u64, token: FencingToken, entry: &str) -> bool {
        let (seen, written) = self.0.entry(order).or_default();
        if token < *seen {
            return false;
        }
        (*seen, *written) = (token, entry.to_owned());
        true
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Embedded::new(Arc::new(TokioRuntime::current()));
    let payments: Payments = Cache::builder("app:payments")
        .ttl("1h")
        .near(Near::bytes("16MiB"))
        .remote(store)
        .build()
        .await?;
    let (order, mut books) = (7, Books::default());

    // The lock ends by itself 30 s after the worker has died, and is renewed while it lives.
    let guard = payments
        .lock(&order, "30s")?
        .wait("5s")
        .renewed_for("10m")
        .acquire()
        .await?;
    assert!(payments.try_lock(&order, "30s").await?.is_none());
    assert!(books.write(order, guard.token(), "paid"));
    let state = "paid".to_owned();
    payments.insert_fenced(&order, state, guard.token()).await?;
    guard.release().await?;

    // A worker that takes a lock and stands still: its lock ends, and it does not know.
    let late = payments.try_lock(&order, "50ms").await?;
    let late = late.expect("nobody holds it");
    let next = payments.lock(&order, "30s")?.wait("5s").acquire().await?;
    assert!(next.token() > late.token());
    assert!(books.write(order, next.token(), "refunded"));
    payments
        .insert_fenced(&order, "refunded".to_owned(), next.token())
        .await?;

    // What it does when it goes on is refused, by the books and by the cache; and the lock of the
    // next worker is not its to release.
    assert!(!books.write(order, late.token(), "paid"));
    let refused = payments.insert_fenced(&order, "paid".to_owned(), late.token());
    let refused = refused.await.map(drop).expect_err("its token is older");
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    assert!(!late.release().await?);
    assert!(next.is_held() && next.remaining() > Duration::from_secs(20));
    let state = payments.get(&order).await?.expect("it was written");
    assert_eq!(*state, "refunded");
    println!("order {order} is {}", *state);
    Ok(())
}
