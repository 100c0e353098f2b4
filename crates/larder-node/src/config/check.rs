//! What settings must be to each other.

use secrecy::ExposeSecret;

use super::draft::{Draft, Entry};
use super::env::{self, Variable};
use super::mask::mask_url;
use super::origin::Origin;
use super::table;
use super::value::Value;

/// Fills in what follows from other settings.
pub(crate) fn complete(draft: &mut Draft, variables: &[Variable]) {
    let has_url = matches!(draft.get("url").value, Value::Url(_));
    if has_url && draft.get("type").origin == Origin::Default {
        let value = Value::Choice("redis");
        let origin = Origin::Follows("url");
        draft.put("type", Entry { value, origin });
    }
    let is_remote = !matches!(draft.get("type").value, Value::Choice("memory"));
    let stand_in = env::redis_url(variables).filter(|_| is_remote && !has_url);
    if let (Some((url, origin)), Some(setting)) = (stand_in, table::find("url")) {
        draft.set(setting, url, origin);
    }
}

/// Finds settings that do not fit together.
pub(crate) fn check(draft: &mut Draft) {
    let mut errors = Vec::new();
    errors.extend(kind_of_store(draft));
    errors.extend(pool(draft));
    errors.extend(exposure(draft));
    errors.extend(ports(draft));
    errors.extend(output(draft));
    errors.extend(named(draft));
    errors.extend(rules(draft));
    errors.extend(outbox(draft));
    errors.extend(super::mesh::mesh(draft).err().unwrap_or_default());
    draft.errors.extend(errors);
    let kind = draft.get("type");
    if let (Value::Choice("memory"), Value::Url(_)) = (&kind.value, &draft.get("url").value) {
        let warning = format!(
            "{} – the URL is not used; set type = \"redis\" (CACHE_TYPE=redis) to use it",
            blame(draft, "type")
        );
        draft.warnings.push(warning);
    }
}

fn kind_of_store(draft: &Draft) -> Option<String> {
    let blame = blame(draft, "type");
    let Value::Choice(kind) = draft.get("type").value else {
        return None;
    };
    match (kind, &draft.get("url").value) {
        ("memory", _) => None,
        ("redis", Value::Url(url)) => {
            let text = url.expose_secret();
            let problem = crate::store::check_url(text).err()?;
            let origin = &draft.get("url").origin;
            let blame = origin.blames("url", &format!("{:?}", mask_url(text)));
            let accepted = table::find("url").map(|url| url.kind.accepted());
            let accepted = accepted.unwrap_or_default();
            Some(format!("{blame} – {problem} – accepted: {accepted}"))
        }
        ("redis", _) => Some(format!(
            "{blame} needs a server – set CACHE_URL, for example CACHE_URL=redis://cache:6379/0"
        )),
        _ => Some(format!(
            "{blame} is not available in this version – accepted: memory, redis"
        )),
    }
}

fn pool(draft: &Draft) -> Option<String> {
    let size = |path| match draft.get(path).value {
        Value::Count(count) => count,
        _ => 0,
    };
    let (min, max) = (size("pool.min_size"), size("pool.max_size"));
    (min > max).then(|| {
        format!(
            "{} is more than {} – lower the first or raise the second",
            blame(draft, "pool.min_size"),
            blame(draft, "pool.max_size")
        )
    })
}

/// A cache without a password that others can reach is a cache that others read and fill.
fn exposure(draft: &Draft) -> Option<String> {
    let Value::Addr(addr) = draft.get("resp.addr").value else {
        return None;
    };
    let has_password = matches!(draft.get("resp.password").value, Value::Secret(_));
    let is_protected = !matches!(draft.get("resp.protected").value, Value::Bool(false));
    let is_exposed = !addr.ip().to_canonical().is_loopback();
    (is_exposed && !has_password && is_protected).then(|| {
        format!(
            "{} would let anybody on the network in without a password – set CACHE_RESP_PASSWORD \
             or --password-file, bind it to loopback with --resp 127.0.0.1:{}, or, where the \
             network itself is closed, set CACHE_RESP_PROTECTED=false",
            blame(draft, "resp.addr"),
            addr.port()
        )
    })
}

fn ports(draft: &Draft) -> Vec<String> {
    let pairs = [
        ("resp.addr", "http.addr"),
        ("resp.addr", "mesh.addr"),
        ("http.addr", "mesh.addr"),
    ];
    let is_same =
        |(one, other): &(&str, &str)| match (&draft.get(one).value, &draft.get(other).value) {
            (Value::Addr(one), Value::Addr(other)) => one == other && one.port() != 0,
            _ => false,
        };
    let message = |(one, other)| {
        format!(
            "{} and {} are the same – give each a port of its own",
            blame(draft, one),
            blame(draft, other)
        )
    };
    pairs.into_iter().filter(is_same).map(message).collect()
}

/// A value that fits in must fit out again, or reading it would disconnect the reader.
fn output(draft: &Draft) -> Option<String> {
    let size = |path| match draft.get(path).value {
        Value::Size(bytes) => bytes,
        _ => 0,
    };
    (size("resp.max_output") < size("resp.max_value")).then(|| {
        format!(
            "{} is less than {} – a client that reads such a value would be disconnected; raise \
             the first or lower the second",
            blame(draft, "resp.max_output"),
            blame(draft, "resp.max_value")
        )
    })
}

fn named(draft: &Draft) -> Vec<String> {
    let lacking = draft.named.iter().filter(|(_, named)| named.ttl.is_none());
    let message = |(name, named): (&String, &super::draft::Named)| {
        let pattern = named.pattern.as_ref()?;
        let path = format!("ttl.named.{name}.match");
        let blame = pattern.origin.blames(&path, &pattern.value.shown());
        Some(format!(
            "{blame} has no life – set ttl.named.{name}.ttl, for example \"24h\""
        ))
    };
    lacking.filter_map(message).collect()
}

fn rules(draft: &Draft) -> impl Iterator<Item = String> {
    let empty = draft
        .rules
        .events()
        .into_iter()
        .filter(|(_, orders)| *orders == 0);
    empty.map(|(event, _)| {
        format!("on.{event} invalidates nothing – give it key, tag, prefix, pattern or clear")
    })
}

fn outbox(draft: &Draft) -> Option<String> {
    let is_set = |path| matches!(draft.get(path).value, Value::Word(_));
    let has_caches = is_set("outbox.caches") || !draft.rules.caches().is_empty();
    match (is_set("outbox.url"), has_caches) {
        (true, _) if cfg!(not(feature = "sqlite")) => Some(format!(
            "{} needs a larder that was built with the feature sqlite",
            blame(draft, "outbox.url")
        )),
        (true, false) => Some(format!(
            "{} says of no cache – name those whose notices are to be carried out in outbox.caches",
            blame(draft, "outbox.url")
        )),
        (false, true) if is_set("outbox.caches") => Some(format!(
            "{} without an outbox – set outbox.url, for example sqlite:/var/lib/app.db",
            blame(draft, "outbox.caches")
        )),
        _ => None,
    }
}

/// A setting as its source wrote it.
fn blame(draft: &Draft, path: &str) -> String {
    let entry = draft.get(path);
    entry.origin.blames(path, &entry.value.shown())
}
