//! `COMMAND` and `COMMAND INFO`: arity, flags and key positions, for machines.

use larder_resp::ReplyWriter;

use super::super::table::{self, Family, SPECS, Spec};
use super::super::{Call, Outcome};

pub(super) fn all(call: &mut Call<'_>) -> Outcome {
    let mut reply = call.reply();
    reply.array_len(SPECS.len());
    for spec in SPECS {
        describe(&mut reply, spec);
    }
    Ok(())
}

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    if call.argc() == 2 {
        return all(call);
    }
    let request = call.request;
    let mut reply = call.reply();
    reply.array_len(request.argc() - 2);
    for name in request.iter().skip(2) {
        match table::find(name) {
            Some(spec) => describe(&mut reply, spec),
            None => reply.null(),
        }
    }
    Ok(())
}

/// The categories of a command in the access rules of Redis.
pub(super) fn categories(spec: &Spec) -> Vec<&'static str> {
    let mut categories = vec![match spec.family {
        Family::Connection => "@connection",
        Family::Server => "@admin",
        Family::Keyspace => "@keyspace",
        Family::String => "@string",
        Family::Scripting => "@scripting",
        Family::Cache => "@cache",
    }];
    for (flag, category) in [("write", "@write"), ("readonly", "@read")] {
        if spec.has(flag) {
            categories.push(category);
        }
    }
    categories.push(if spec.has("fast") { "@fast" } else { "@slow" });
    if matches!(
        spec.name,
        "keys" | "flushdb" | "flushall" | "config" | "info" | "role"
    ) {
        categories.push("@dangerous");
    }
    categories
}

fn describe(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    let (first, last, step) = spec.keys;
    let categories = categories(spec);
    reply.array_len(10);
    reply.bulk(spec.name);
    reply.integer(spec.arity.into());
    reply.set_len(spec.flags.len());
    for flag in spec.flags {
        reply.simple(flag);
    }
    for position in [first, last, step] {
        reply.integer(position.into());
    }
    reply.set_len(categories.len());
    for category in categories {
        reply.simple(category);
    }
    // Tips for proxies: none.
    reply.array_len(0);
    reply.array_len(usize::from(first != 0));
    if first != 0 {
        key_specification(reply, spec);
    }
    // Subcommands are not described one by one.
    reply.array_len(0);
}

/// The same positions in the form that newer clients read.
fn key_specification(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    let (first, last, step) = spec.keys;
    // Here the last key is counted from the first one.
    let last = if last < 0 { last } else { last - first };
    reply.map_len(3);
    reply.bulk("flags");
    reply.set_len(1);
    reply.simple(if spec.has("readonly") { "RO" } else { "RW" });
    reply.bulk("begin_search");
    reply.map_len(2);
    reply.bulk("type");
    reply.bulk("index");
    reply.bulk("spec");
    reply.map_len(1);
    reply.bulk("index");
    reply.integer(first.into());
    reply.bulk("find_keys");
    reply.map_len(2);
    reply.bulk("type");
    reply.bulk("range");
    reply.bulk("spec");
    reply.map_len(3);
    for (name, value) in [("lastkey", last), ("keystep", step), ("limit", 0)] {
        reply.bulk(name);
        reply.integer(value.into());
    }
}
