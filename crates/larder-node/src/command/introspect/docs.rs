//! `COMMAND DOCS`: what commands do, for people; `redis-cli` shows it as hints.

use larder_resp::ReplyWriter;

use super::super::table::{self, Family, SPECS, Spec};
use super::super::{Call, Outcome};

pub(super) fn docs(call: &mut Call<'_>) -> Outcome {
    let specs: Vec<&Spec> = match call.argc() {
        2 => SPECS.iter().collect(),
        _ => call
            .request
            .iter()
            .skip(2)
            .filter_map(table::find)
            .collect(),
    };
    let mut reply = call.reply();
    reply.map_len(specs.len());
    for spec in specs {
        reply.bulk(spec.name);
        document(&mut reply, spec);
    }
    Ok(())
}

fn document(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    let group = match spec.family {
        Family::Connection => "connection",
        Family::Server => "server",
        Family::Keyspace => "generic",
        Family::String => "string",
        Family::Scripting => "scripting",
        Family::Cache => "cache",
    };
    let fields = [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", group),
        ("complexity", spec.complexity),
    ];
    reply.map_len(fields.len());
    for (name, value) in fields {
        reply.bulk(name);
        reply.bulk(value);
    }
}
