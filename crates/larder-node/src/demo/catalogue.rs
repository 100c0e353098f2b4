//! The source: a catalogue of products in a SQLite file, and its outbox.
//!
//! Every change has a version, which is its row in the table of changes; so versions only rise, and
//! the version of a product is that of its last change, also once it was removed.

use std::path::Path;
use std::time::Duration;

use larder::outbox::{Notice, Notices};
use larder_sql::sqlite::{self, SCHEMA, SqliteOutbox};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::sqlite::{SqliteConnection, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

use super::{CATEGORIES, PRODUCTS, PRODUCTS_CACHE};

/// The number of a change.
pub(super) type Version = i64;

pub(super) type Result<T, E = sqlx::Error> = std::result::Result<T, E>;

/// How long a statement waits for others who write.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections of one process.
const CONNECTIONS: u32 = 4;

/// Of so many changes of a node one is a sale, and one is a removal; which of them, so that both come
/// early.
const SALE_EVERY: (u64, u64) = (30, 4);
const REMOVAL_EVERY: (u64, u64) = (6, 2);

/// The tables. All text that a person needs who looks into the file later.
const TABLES: &str = "
    CREATE TABLE products (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        category INTEGER NOT NULL,
        price INTEGER NOT NULL,
        text TEXT NOT NULL
    );
    CREATE INDEX products_by_category ON products (category);
    -- The last change of each product, removals included.
    CREATE TABLE versions (id INTEGER PRIMARY KEY, version INTEGER NOT NULL);
    CREATE TABLE changes (
        version INTEGER PRIMARY KEY AUTOINCREMENT,
        node TEXT NOT NULL,
        kind TEXT NOT NULL,
        target INTEGER NOT NULL,
        at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f'))
    );";

const ROW: &str = "SELECT v.id, v.version, p.name, p.category, p.price, p.text
    FROM versions v LEFT JOIN products p ON p.id = v.id WHERE v.id = ?";
const ROWS: &str = "SELECT v.id, v.version, p.name, p.category, p.price, p.text
    FROM versions v LEFT JOIN products p ON p.id = v.id ORDER BY v.id";

/// What the source says of a product: that there is none is an answer as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// The last change.
    pub(super) version: Version,
    pub(super) product: Option<Product>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Product {
    pub(super) name: String,
    pub(super) category: u32,
    pub(super) price: u32,
    pub(super) text: String,
}

/// What was done to products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Created,
    Updated,
    Removed,
    /// All products of a category have another price.
    Sale,
}

/// A change that was committed, as all others hear of it who judge reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) version: Version,
    pub(super) products: Vec<u32>,
    /// The category, if all of it was changed.
    pub(super) category: Option<u32>,
}

/// A change before its commit.
pub(super) struct Draft {
    pub(super) transaction: Transaction<'static, Sqlite>,
    pub(super) change: Change,
    pub(super) kind: Kind,
    /// As they lie in the outbox.
    pub(super) notices: Vec<Notice>,
}

/// The catalogue as one process opens it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Catalogue {
    db: SqlitePool,
    pub(super) outbox: SqliteOutbox,
}

type Columns = (
    u32,
    Version,
    Option<String>,
    Option<u32>,
    Option<u32>,
    Option<String>,
);

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Created => "created",
            Kind::Updated => "updated",
            Kind::Removed => "removed",
            Kind::Sale => "sale",
        }
    }
}

impl Catalogue {
    /// Makes a catalogue in a new file, in which nine of ten products are there.
    pub(super) async fn create(file: &Path) -> Result<Catalogue> {
        let catalogue = Catalogue::connect(options(file).create_if_missing(true)).await?;
        let mut transaction = catalogue.db.begin().await?;
        sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        let version = next(&mut transaction, "demo", Kind::Created, 0).await?;
        for id in 0..PRODUCTS {
            if id % 10 != 9 {
                insert(&mut transaction, id, version).await?;
            }
            stamp(&mut transaction, id, version).await?;
        }
        transaction.commit().await?;
        Ok(catalogue)
    }

    /// Opens the catalogue in this file.
    pub(super) async fn open(file: &Path) -> Result<Catalogue> {
        Catalogue::connect(options(file)).await
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Catalogue> {
        let outbox = SqliteOutbox::open(options.clone());
        let db = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_with(options)
            .await?;
        Ok(Catalogue { db, outbox })
    }

    /// What it says of a product.
    pub(super) async fn row(&self, id: u32) -> Result<Row> {
        let columns: Columns = sqlx::query_as(ROW).bind(id).fetch_one(&self.db).await?;
        Ok(row(columns).1)
    }

    /// What it says of all products, in the order of their numbers.
    pub(super) async fn rows(&self) -> Result<Vec<Row>> {
        let columns: Vec<Columns> = sqlx::query_as(ROWS).fetch_all(&self.db).await?;
        Ok(columns.into_iter().map(|columns| row(columns).1).collect())
    }

    /// How many notices wait in the outbox.
    pub(super) async fn waiting(&self) -> Result<u64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM larder_outbox_v1");
        let count: i64 = count.fetch_one(&self.db).await?;
        Ok(count.unsigned_abs())
    }

    /// Closes all connections; the last one that does so leaves nothing beside the file.
    pub(super) async fn close(&self) {
        self.outbox.close().await;
        self.db.close().await;
    }

    /// Begins the change of this number of a node: a product that is not there is created, others are
    /// updated or removed, or their whole category is on sale. The notices are part of it.
    pub(super) async fn change(&self, node: &str, id: u32, number: u64) -> Result<Draft> {
        let is_turn = |(every, at): (u64, u64)| number % every == at;
        let kind = match (is_turn(SALE_EVERY), is_turn(REMOVAL_EVERY)) {
            (true, _) => Kind::Sale,
            (_, true) => Kind::Removed,
            _ => Kind::Updated,
        };
        self.begin(node, id, kind).await
    }

    /// Begins an update of a product, or its creation if it is not there.
    pub(super) async fn update(&self, node: &str, id: u32) -> Result<Draft> {
        self.begin(node, id, Kind::Updated).await
    }

    async fn begin(&self, node: &str, id: u32, kind: Kind) -> Result<Draft> {
        let mut transaction = self.db.begin_with("BEGIN IMMEDIATE").await?;
        let found: Option<u32> = sqlx::query_scalar("SELECT id FROM products WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        let kind = match (kind, found) {
            (Kind::Sale, _) => Kind::Sale,
            (_, None) => Kind::Created,
            (kind, Some(_)) => kind,
        };
        self.draft(transaction, node, kind, id).await
    }

    async fn draft(
        &self,
        mut transaction: Transaction<'static, Sqlite>,
        node: &str,
        kind: Kind,
        id: u32,
    ) -> Result<Draft> {
        let category = (kind == Kind::Sale).then_some(id % CATEGORIES);
        let version = next(&mut transaction, node, kind, category.unwrap_or(id)).await?;
        let notices = Notices::of(PRODUCTS_CACHE);
        let (products, notices) = match category {
            Some(category) => {
                let products = reprice(&mut transaction, category).await?;
                (products, notices.tag(tag(category)))
            }
            None => (vec![id], notices.key(&id)),
        };
        match kind {
            Kind::Created => insert(&mut transaction, id, version).await?,
            Kind::Updated => update(&mut transaction, id, version).await?,
            Kind::Removed => remove(&mut transaction, id).await?,
            Kind::Sale => {}
        }
        for product in &products {
            stamp(&mut transaction, *product, version).await?;
        }
        let notices = sqlite::record(&mut transaction, &notices).await;
        let notices = notices.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        let change = Change {
            version,
            products,
            category,
        };
        Ok(Draft {
            transaction,
            change,
            kind,
            notices,
        })
    }
}

/// The tag of all products of a category.
pub(super) fn tag(category: u32) -> String {
    format!("category:{category}")
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        // A process may be killed; the machine goes on.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE)
}

fn row((id, version, name, category, price, text): Columns) -> (u32, Row) {
    let product = name.zip(category).zip(price).zip(text);
    let product = product.map(|(((name, category), price), text)| Product {
        name,
        category,
        price,
        text,
    });
    (id, Row { version, product })
}

/// Enters a change; gives its version.
async fn next(
    connection: &mut SqliteConnection,
    node: &str,
    kind: Kind,
    target: u32,
) -> Result<Version> {
    sqlx::query_scalar(
        "INSERT INTO changes (node, kind, target) VALUES (?, ?, ?) RETURNING version",
    )
    .bind(node)
    .bind(kind.word())
    .bind(target)
    .fetch_one(connection)
    .await
}

async fn stamp(connection: &mut SqliteConnection, id: u32, version: Version) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO versions (id, version) VALUES (?, ?)")
        .bind(id)
        .bind(version)
        .execute(connection)
        .await
        .map(drop)
}

async fn insert(connection: &mut SqliteConnection, id: u32, version: Version) -> Result<()> {
    let text = "What a customer reads before buying. ".repeat(1 + id as usize % 12);
    sqlx::query("INSERT INTO products (id, name, category, price, text) VALUES (?, ?, ?, ?, ?)")
        .bind(id)
        .bind(format!("product {id}, change {version}"))
        .bind(id % CATEGORIES)
        .bind(price(id, version))
        .bind(text)
        .execute(connection)
        .await
        .map(drop)
}

async fn update(connection: &mut SqliteConnection, id: u32, version: Version) -> Result<()> {
    sqlx::query("UPDATE products SET name = ?, price = ? WHERE id = ?")
        .bind(format!("product {id}, change {version}"))
        .bind(price(id, version))
        .bind(id)
        .execute(connection)
        .await
        .map(drop)
}

async fn remove(connection: &mut SqliteConnection, id: u32) -> Result<()> {
    sqlx::query("DELETE FROM products WHERE id = ?")
        .bind(id)
        .execute(connection)
        .await
        .map(drop)
}

/// Changes the prices of a category; gives its products.
async fn reprice(connection: &mut SqliteConnection, category: u32) -> Result<Vec<u32>> {
    sqlx::query_scalar(
        "UPDATE products SET price = 1 + (price * 31 + 17) % 9999 WHERE category = ? RETURNING id",
    )
    .bind(category)
    .fetch_all(connection)
    .await
}

/// Another one for each change, in cents.
fn price(id: u32, version: Version) -> u32 {
    let version = (version.unsigned_abs() % 9_999) as u32;
    1 + (id.wrapping_mul(37).wrapping_add(version.wrapping_mul(101))) % 9_999
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_there_with_its_notice_once_it_is_committed_and_not_before() {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let catalogue = Catalogue::create(&home.path().join("a.db")).await.unwrap();
            let rows = catalogue.rows().await.unwrap();
            assert_eq!(rows.len(), PRODUCTS as usize);
            assert_eq!(rows.iter().filter(|row| row.product.is_none()).count(), 200);
            let draft = catalogue.change("one", 8, REMOVAL_EVERY.1).await.unwrap();
            assert_eq!(
                (draft.kind, draft.change.version, draft.notices.len()),
                (Kind::Removed, 2, 1)
            );
            assert_eq!(catalogue.row(8).await.unwrap(), rows[8]);
            draft.transaction.commit().await.unwrap();
            let removed = catalogue.row(8).await.unwrap();
            assert_eq!((removed.version, removed.product), (2, None));
            assert_eq!(catalogue.waiting().await.unwrap(), 1);
            let draft = catalogue.change("one", 7, SALE_EVERY.1).await.unwrap();
            let (change, kind) = (draft.change.clone(), draft.kind);
            draft.transaction.commit().await.unwrap();
            assert_eq!((kind, change.category), (Kind::Sale, Some(7)));
            assert!(change.products.contains(&7) && change.products.contains(&57));
            let rows = catalogue.rows().await.unwrap();
            let changed = rows.iter().filter(|row| row.version == change.version);
            assert_eq!(changed.count(), change.products.len());
            let draft = catalogue.update("two", 8).await.unwrap();
            assert_eq!(draft.kind, Kind::Created);
        });
    }
}
