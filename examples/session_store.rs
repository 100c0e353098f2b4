//! Sessions of a day, under a key type of their own, in the embedded store.
//!
//! With `.remote(Redis::open("redis://cache:6379")?)` in place of the embedded store, several
//! processes share them.

use std::sync::Arc;
use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Cache, ErrorKind, InsertOptions, Key, KeyWriter, Near, TokioRuntime};
use serde::{Deserialize, Serialize};

/// Not a bare string: nobody can pass a user's name where a session is meant.
#[derive(Clone)]
struct SessionId(String);

impl Key for SessionId {
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.part(&self.0);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    user: u64,
    roles: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Embedded::new(Arc::new(TokioRuntime::current()));
    let sessions: Cache<SessionId, Session> = Cache::builder("app:session")
        .ttl("24h")
        .near(Near::bytes("16MiB").ttl("30s"))
        .remote(store.clone())
        .build()
        .await?;

    // Sign in.
    let id = SessionId("b6f1c2".to_owned());
    let session = Session {
        user: 7,
        roles: vec!["editor".to_owned()],
    };
    sessions.insert(&id, session.clone()).await?;

    // Each request: a session is not loaded from anywhere, it is there or it is not.
    let found = sessions.get(&id).await?.expect("signed in");
    assert_eq!(*found, session);
    assert!(
        sessions
            .get(&SessionId("guess".to_owned()))
            .await?
            .is_none()
    );

    // "Stay signed in" is a life of its own. Every insert begins a new life, so a session that
    // slides is one that is inserted again when it is used.
    let month = InsertOptions::new().ttl(Duration::from_hours(30 * 24));
    sessions.insert_with(&id, session, month).await?;

    // Sessions without an end are refused where they are made.
    let endless = Cache::<SessionId, Session>::builder("app:session").remote(store);
    let error = endless.build().await.map(drop).expect_err("no ttl");
    assert_eq!(error.kind(), ErrorKind::Config);
    println!("{error}");

    // Sign out: gone in every tier, and no read that is under way can bring it back.
    assert_eq!(sessions.invalidate(&id).await?.existed(), 1);
    assert!(sessions.get(&id).await?.is_none());
    println!("signed out");
    Ok(())
}
