//! The claims of every outbox, on SQLite.

use std::sync::Arc;

use larder::core::BoxFuture;
use larder::core::outbox::{Notices, Outbox};
use larder_sql::sqlite::{self, SqliteOutbox};
use larder_testkit::conformance::outbox::OutboxSubject;
use sqlx::sqlite::SqliteConnectOptions;

use crate::support::Source;

impl OutboxSubject for Source {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Outbox>> {
        Box::pin(async {
            let options = SqliteConnectOptions::new().filename(self.file());
            Arc::new(SqliteOutbox::open(options)) as Arc<dyn Outbox>
        })
    }

    fn record<'a>(&'a self, notices: &'a Notices) -> BoxFuture<'a, ()> {
        Box::pin(async { drop(Source::record(self, notices).await) })
    }

    fn roll_back<'a>(&'a self, notices: &'a Notices) -> BoxFuture<'a, ()> {
        Box::pin(async {
            let mut transaction = self.db.begin().await.unwrap();
            let recorded = sqlite::record(&mut transaction, notices).await;
            assert!(!recorded.unwrap().is_empty());
            transaction.rollback().await.unwrap();
        })
    }

    fn write<'a>(&'a self, cache: &'a str, kind: &'a str, body: &'a [u8]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let insert = "INSERT INTO larder_outbox_v1 (cache, kind, body) VALUES (?, ?, ?)";
            let insert = sqlx::query(insert).bind(cache).bind(kind).bind(body);
            insert.execute(&self.db).await.unwrap();
        })
    }
}

larder_testkit::conformance_outbox!(on_sqlite, Source::new);
