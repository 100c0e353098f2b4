//! From a request to its reply: look the command up, admit it, run it, count it.
//!
//! A command is one file with one or a few functions that take a [`Call`]. It writes its reply
//! only once it has succeeded; whatever it returns as a [`Failure`] becomes the one error line.

mod append;
mod arguments;
mod auth;
mod client;
mod config;
mod dbsize;
mod del;
mod delifeq;
mod echo;
mod eval;
mod event;
mod exists;
mod expire;
mod expiry;
mod failure;
mod flush;
mod get;
mod getdel;
mod getex;
mod getrange;
mod getset;
mod hello;
mod incr;
mod incrbyfloat;
mod info;
mod introspect;
mod invalidate;
mod keys;
mod limit;
mod lock;
mod mget;
mod mset;
mod msetnx;
mod nodes;
mod persist;
mod ping;
mod quit;
mod randomkey;
mod rename;
mod reset;
mod role;
mod scan;
mod select;
mod set;
mod setex;
mod setnx;
mod setrange;
mod strlen;
mod subcommand;
mod table;
mod time;
mod ttl;
mod type_of;

use bytes::BytesMut;
use larder_resp::{ReplyWriter, Request};
use tokio::time::Instant;

use crate::session::{Replies, Session};

pub(crate) use eval::memory::Scripts;
pub(crate) use failure::{Failure, Outcome};
pub(crate) use table::NAMES;
use table::{Id, Spec};

/// One in so many `GET`s and `SET`s is timed: reading the clock twice costs as much as a lookup.
const SAMPLE: u32 = 64;

/// A command under way: who asks, what, and where the answer goes.
pub(crate) struct Call<'a> {
    session: &'a mut Session,
    request: &'a Request,
    out: &'a mut BytesMut,
    spec: &'static Spec,
}

impl Call<'_> {
    /// A writer in the protocol that the session speaks now.
    fn reply(&mut self) -> ReplyWriter<'_> {
        ReplyWriter::new(self.out, self.session.protocol)
    }
}

/// Runs one request and appends its reply to `out`.
pub(crate) async fn execute(session: &mut Session, request: &Request, out: &mut BytesMut) {
    let start = out.len();
    match table::find(request.name()) {
        Some(spec) => run(session, request, out, spec).await,
        None => {
            let failure = failure::unknown_command(session, request);
            session.shared.node.metrics.command(NAMES.len(), true);
            refuse(session, out, &failure);
        }
    }
    if session.replies != Replies::On {
        session.silence(start, out);
    }
}

#[inline]
async fn run(session: &mut Session, request: &Request, out: &mut BytesMut, spec: &'static Spec) {
    let start = out.len();
    session.note_command(spec.id as usize);
    let timer = timer(session, spec.id);
    let outcome = match admit(session, request, spec) {
        Ok(()) => {
            let mut call = Call {
                session,
                request,
                out,
                spec,
            };
            table::dispatch(spec.id, &mut call).await
        }
        Err(failure) => Err(failure),
    };
    let metrics = &session.shared.node.metrics;
    metrics.command(spec.id as usize, outcome.is_err());
    if let Some(started) = timer {
        metrics.observe(spec.op, started.elapsed());
    }
    if let Err(failure) = outcome {
        if let Some(kind) = failure.cause() {
            metrics.error(kind);
        }
        out.truncate(start);
        refuse(session, out, &failure);
    }
}

fn timer(session: &mut Session, id: Id) -> Option<Instant> {
    let hot = matches!(id, Id::Get | Id::Set);
    (!hot || session.is_sampled(SAMPLE)).then(Instant::now)
}

/// Whether the command may run at all: known peer, right number of arguments.
#[inline]
fn admit(session: &Session, request: &Request, spec: &'static Spec) -> Result<(), Failure> {
    if !session.is_authenticated() && !spec.has("no_auth") {
        return Err(Failure::NOAUTH);
    }
    if !spec.accepts(request.argc()) {
        return Err(failure::wrong_arity(spec.name));
    }
    Ok(())
}

#[cold]
fn refuse(session: &Session, out: &mut BytesMut, failure: &Failure) {
    ReplyWriter::new(out, session.protocol).error(failure.text());
}

#[cfg(test)]
mod tests;
