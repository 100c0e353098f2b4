//! A writer in a process of its own, which stops where it is told and is killed there.
//!
//! It is this test program again, asked for one test that is left out otherwise.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use larder::core::outbox::Notices;
use larder::{Cache, Invalidator, Near};
use larder_sql::sqlite::{self, SqliteOutbox};
use larder_testkit::servers::Daemon;
use sqlx::sqlite::SqliteConnectOptions;

use crate::support::{ROWS, connect, set};

/// Where a writer stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Inside of its transaction, with everything written and nothing committed.
    BeforeCommit,
    /// Between its commit and its invalidation.
    AfterCommit,
}

impl Point {
    fn word(self) -> &'static str {
        match self {
            Point::BeforeCommit => "before-commit",
            Point::AfterCommit => "after-commit",
        }
    }
}

const FILE: &str = "LARDER_WRITER_FILE";
const VALUE: &str = "LARDER_WRITER_VALUE";
const POINT: &str = "LARDER_WRITER_POINT";

/// Starts a writer that sets row 1, and kills it once it has reached the point.
pub(crate) fn write_and_die(file: &Path, value: i64, point: Point) {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "writer::a_writer", "--ignored", "--nocapture"])
        .env(FILE, file)
        .env(VALUE, value.to_string())
        .env(POINT, point.word());
    let log = file.with_file_name("writer.log");
    let mut writer = Daemon::spawn(&mut command, &log).unwrap();
    let has_reached = |log: &str| log.contains(&reached(point));
    writer
        .wait_ready(Duration::from_secs(30), has_reached)
        .unwrap();
    writer.kill();
}

fn reached(point: Point) -> String {
    format!("the writer is {}", point.word())
}

/// Says that it is there, and goes no further if it is to be killed there.
async fn pass(point: Point) {
    if env::var(POINT).is_ok_and(|stop| stop == point.word()) {
        let mut out = std::io::stdout();
        writeln!(out, "{}", reached(point)).unwrap();
        out.flush().unwrap();
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
#[ignore = "a process that the other tests start"]
async fn a_writer() {
    let file = env::var_os(FILE).expect("the tests say which file");
    let value = env::var(VALUE).unwrap().parse().unwrap();
    let file = Path::new(&file);
    let db = connect(file).await;
    let outbox = SqliteOutbox::open(SqliteConnectOptions::new().filename(file));
    let mut transaction = db.begin().await.unwrap();
    set(&mut transaction, 1, value).await;
    let notices = Notices::of(ROWS).key(&1i64);
    let notices = sqlite::record(&mut transaction, &notices).await.unwrap();
    pass(Point::BeforeCommit).await;
    transaction.commit().await.unwrap();
    pass(Point::AfterCommit).await;
    let rows = Cache::<i64, i64>::builder(ROWS).ttl("1h");
    let rows = rows.near(Near::bytes("1MiB")).build().await.unwrap();
    let invalidator = Invalidator::builder().cache(&rows).build().unwrap();
    let delivery = invalidator.deliver(&outbox, &notices).await;
    panic!("nobody killed the writer: {delivery:?}");
}
