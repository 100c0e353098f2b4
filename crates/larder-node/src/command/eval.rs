//! `EVAL`, `EVALSHA` and `SCRIPT`, for the scripts of lock libraries.
//!
//! ```text
//! EVAL script numkeys key… argument…   →  what that script answers
//! EVALSHA sha1 numkeys key… argument…  →  the same  |  -NOSCRIPT
//! SCRIPT LOAD script | EXISTS sha1… | FLUSH | HELP
//! ```
//!
//! There is no interpreter of Lua here. A script whose words, beside blanks and comments, are those of
//! one in `forms` is carried out as what it means, atomically; any other one is refused. Two round trips
//! to a remote store, one when nothing is changed.

pub(super) mod forms;
pub(crate) mod memory;
mod words;

use bytes::Bytes;
use sha1_smol::Sha1;

use super::subcommand::write_help;
use super::{Call, Failure, Outcome};
use forms::{Form, Run};

const NOSCRIPT: Failure = Failure::fixed("NOSCRIPT No matching script. Please use EVAL.");
const NEGATIVE: Failure = Failure::fixed("ERR Number of keys can't be negative");
const TOO_MANY: Failure = Failure::fixed("ERR Number of keys can't be greater than number of args");

const HELP: &[&str] = &[
    "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "LOAD <script>",
    "    Remember a script of a lock library; others are refused.",
    "EXISTS <sha1> [<sha1> ...]",
    "    Tell which of these are remembered.",
    "FLUSH [ASYNC|SYNC]",
    "    Forget all of them.",
    "HELP",
    "    Print this help.",
];

pub(super) async fn eval(call: &mut Call<'_>) -> Outcome {
    let (_, form) = remember(call, 1)?;
    run(call, form).await
}

pub(super) async fn evalsha(call: &mut Call<'_>) -> Outcome {
    let sha1 = call.argument(1).to_ascii_lowercase();
    let form = call.session.shared.node.scripts.get(&sha1);
    run(call, form.ok_or(NOSCRIPT)?).await
}

async fn run(call: &mut Call<'_>, form: Form) -> Outcome {
    let keys = usize::try_from(call.integer(2)?).map_err(|_| NEGATIVE)?;
    let end = keys.checked_add(3).filter(|end| *end <= call.argc());
    let end = end.ok_or(TOO_MANY)?;
    let keys: Vec<Bytes> = (3..end).map(|at| call.key(at)).collect::<Result<_, _>>()?;
    let arguments: Vec<Bytes> = (end..call.argc()).map(|at| call.value(at)).collect();
    let run = Run {
        database: call.database(),
        keys,
        arguments,
    };
    let answer = form.run(run).await?;
    match (form, answer) {
        // It gives what `SETEX` gives, or nothing.
        (Form::Add, 0) => call.reply().null(),
        (Form::Add, _) => call.reply().ok(),
        (_, answer) => call.reply().integer(answer),
    }
    Ok(())
}

/// Remembers the script in an argument; gives its hash.
fn remember(call: &Call<'_>, at: usize) -> Result<(String, Form), Failure> {
    let script = call.argument(at);
    let sha1 = Sha1::from(script).digest().to_string();
    let Some(form) = Form::of(script) else {
        return Err(Failure::new(format!(
            "ERR this node runs no Lua, but for the scripts of lock libraries, and this is none of \
             them (sha1 {sha1}); locks: SET key owner NX PX ms and DELIFEQ key owner, or CACHE.LOCK"
        )));
    };
    call.session.shared.node.scripts.add(&sha1, form);
    Ok((sha1, form))
}

pub(super) async fn script(call: &mut Call<'_>) -> Outcome {
    super::subcommand::run(
        call,
        "SCRIPT",
        &[
            ("load", 3, load),
            ("exists", -3, exists),
            ("flush", -2, flush),
            ("help", 2, help),
        ],
    )
}

fn load(call: &mut Call<'_>) -> Outcome {
    let (sha1, _) = remember(call, 2)?;
    call.reply().bulk(sha1);
    Ok(())
}

fn exists(call: &mut Call<'_>) -> Outcome {
    let scripts = &call.session.shared.node.scripts;
    let known: Vec<bool> = (2..call.argc())
        .map(|at| {
            scripts
                .get(&call.argument(at).to_ascii_lowercase())
                .is_some()
        })
        .collect();
    let mut reply = call.reply();
    reply.array_len(known.len());
    known
        .into_iter()
        .for_each(|known| reply.integer(known.into()));
    Ok(())
}

fn flush(call: &mut Call<'_>) -> Outcome {
    match call.argc() {
        2 => {}
        3 if call.is(2, "ASYNC") || call.is(2, "SYNC") => {}
        _ => {
            let text = "ERR SCRIPT FLUSH only support SYNC|ASYNC option";
            return Err(Failure::fixed(text));
        }
    }
    call.session.shared.node.scripts.clear();
    call.reply().ok();
    Ok(())
}

fn help(call: &mut Call<'_>) -> Outcome {
    write_help(call, HELP);
    Ok(())
}
