//! Several nodes: values that travel, waiting for the others, and events.

use std::sync::Arc;
use std::time::Duration;

use larder::core::store::Store;
use larder::embedded::Embedded;
use larder::{Cache, Error, Event, EventCause, Events, Mode, Near, Target, TokioRuntime};

async fn share(name: &str, remote: Arc<dyn Store>) -> Result<Cache<String, String>, Error> {
    Cache::builder("shared:config")
        .ttl("1h")
        .node(name)
        .coherence(Mode::Update) // or Mode::Invalidate, the default
        .near(Near::bytes("16MiB"))
        .remote(remote)
        .build()
        .await
}

async fn set(config: &Cache<String, String>, value: String) -> Result<Vec<String>, Error> {
    let receipt = config.insert("theme", value).await?;
    let heard = receipt.wait_all(Duration::from_secs(3)).await?; // waitForAck
    Ok(heard.lagging)
}

async fn next_change(events: &mut Events) -> Option<(Target, EventCause, u32)> {
    loop {
        if let Event::Changed(changed) = events.next().await? {
            return Some((changed.target, changed.cause, changed.origin));
        }
    }
}

#[tokio::test]
async fn a_value_is_on_the_other_node_when_the_writer_goes_on() {
    let store = Embedded::new(Arc::new(TokioRuntime::current()));
    let one = share("one", Arc::new(store.clone())).await.unwrap();
    let two = share("two", Arc::new(store)).await.unwrap();
    let mut events = two.events();
    // The first change may come before the other node follows the log, and is then not told.
    while two.stats().bus.flushes == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(set(&one, "dark".into()).await.unwrap(), [""; 0]);
    let theme = two.get("theme").await.unwrap().unwrap();
    assert_eq!(theme.as_str(), "dark");
    assert_eq!(two.stats().bus.updates, 1, "nobody had to ask for it");
    let (target, cause, origin) = next_change(&mut events).await.unwrap();
    assert_eq!(target, Target::Key("theme".into()));
    assert_eq!((cause, origin), (EventCause::Inserted, one.node()));
}
