//! `larder demo`: three nodes on this machine sell from one catalogue. One of them changes it, all
//! read under load, and the one that writes is killed in the middle of a write and comes back. Every
//! read is held to what was promised before it began, and in the end every copy to the database.
//!
//! [`stage`] is the course of it and has the nodes as [`process`]es; each of these runs [`node`],
//! which uses the library as any program does. What they say to each other is in [`message`]. The
//! stage notes what it hears on a [`board`], [`compare`]s, and comes to a [`summary`].

mod board;
mod catalogue;
mod compare;
mod figures;
mod home;
mod ledger;
mod message;
mod node;
mod ports;
mod process;
mod server;
mod show;
mod spread;
mod stage;
mod summary;
mod zipf;

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::DemoArgs;
use crate::serve::{self, USAGE};
pub(crate) use node::node;
use stage::{End, Stage};

/// Products that there can be; some of them are not there.
const PRODUCTS: u32 = 2_000;

/// How many of them stand on one shelf, and how many categories there are.
const PER_SHELF: u32 = 10;
const CATEGORIES: u32 = 50;

const PRODUCTS_CACHE: &str = "demo:products";
const SHELVES_CACHE: &str = "demo:shelves";
const CLUSTER: &str = "larder-demo";

/// Δ: after an acknowledged change, reads on every node show it (docs/consistency.md, G2).
const VISIBLE_WITHIN: Duration = Duration::from_secs(1);

/// After a commit, whatever became of the writer (docs/outbox.md).
const VISIBLE_AFTER_COMMIT: Duration = Duration::from_secs(2);

/// Something is not as it should be.
const WRONG: u8 = 1;
/// The server does not let us.
const REFUSED: u8 = 4;
/// The server cannot be reached.
const UNREACHABLE: u8 = 5;
/// As shells have it for a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Runs the demo; gives the exit code.
pub(crate) fn demo(args: DemoArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(Stage::play(args)),
        Err(error) => Err(End::Failed(error.to_string())),
    };
    let (line, code) = match ended {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => return ExitCode::from(WRONG),
        Err(End::Usage(line)) => (line, USAGE),
        Err(End::Refused(line)) => (line, REFUSED),
        Err(End::Unreachable(line)) => (line, UNREACHABLE),
        Err(End::Failed(line)) => (format!("the demo cannot go on – {line}"), WRONG),
        Err(End::Interrupted) => ("interrupted: nothing was proven".into(), INTERRUPTED),
    };
    serve::complain("error", &[line]);
    ExitCode::from(code)
}
