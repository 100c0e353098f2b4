//! The Larder node: the engine behind a RESP port, with an HTTP API.
//!
//! Reading order: [`cli`] says what is to be done, [`config`] makes [`settings`] of file,
//! environment and flags, [`serve`] runs a [`node`] from its start to its end, [`doctor`] looks at
//! the server behind it, [`ping`] at the log there, [`nodes`] at the others, [`demo`] shows what it is good for. [`listener`] and what is below it speak RESP, [`http`] speaks HTTP;
//! [`metrics`] counts for both.

#![forbid(unsafe_code)]

mod cli;
mod config;
mod settings;

mod banner;
mod ping;
mod serve;

#[cfg(feature = "sqlite")]
mod demo;
mod doctor;

mod metrics;
mod node;
mod nodes;
mod store;

mod http;

mod memory;

mod command;
mod connection;
mod listener;
mod session;

use std::env;
use std::io::Write;
use std::process::ExitCode;

use cli::Action;

fn main() -> ExitCode {
    match cli::parse(env::args_os()) {
        Ok(Action::Serve(args)) => serve::serve(args),
        Ok(Action::Doctor(args)) => doctor::doctor(args),
        Ok(Action::Ping(args)) => ping::ping(args),
        Ok(Action::Nodes(args)) => nodes::nodes(args),
        #[cfg(feature = "sqlite")]
        Ok(Action::Demo(args)) => demo::demo(args),
        #[cfg(feature = "sqlite")]
        Ok(Action::DemoNode) => demo::node(),
        Ok(Action::Print(text)) => {
            // A reader that has seen enough, such as `head`, is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(line) => {
            eprintln!("error: {line}");
            ExitCode::from(serve::USAGE)
        }
    }
}
