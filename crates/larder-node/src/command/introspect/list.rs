//! `COMMAND LIST [FILTERBY …]`: the names of the commands.

use larder_core::glob;

use super::super::table::{SPECS, Spec};
use super::super::{Call, Failure, Outcome};
use super::describe::categories;

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let names: Vec<&str> = match call.argc() {
        2 => select(|_| true),
        5 if call.is(2, "FILTERBY") => {
            let value = call.argument(4);
            if call.is(3, "ACLCAT") {
                let is_wanted =
                    |category: &&str| category.as_bytes()[1..].eq_ignore_ascii_case(value);
                select(|spec| categories(spec).iter().any(is_wanted))
            } else if call.is(3, "PATTERN") {
                let pattern = value.to_ascii_lowercase();
                select(|spec| glob::matches(&pattern, spec.name.as_bytes()))
            } else if call.is(3, "MODULE") {
                Vec::new()
            } else {
                return Err(Failure::SYNTAX);
            }
        }
        _ => return Err(Failure::SYNTAX),
    };
    let mut reply = call.reply();
    reply.array_len(names.len());
    for name in names {
        reply.bulk(name);
    }
    Ok(())
}

fn select(is_wanted: impl Fn(&Spec) -> bool) -> Vec<&'static str> {
    let wanted = SPECS.iter().filter(|spec| is_wanted(spec));
    wanted.map(|spec| spec.name).collect()
}
