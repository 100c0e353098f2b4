//! Hides passwords in URLs, well-formed or not: what is wrong with a URL must not print it.

/// The URL with its password replaced.
pub(crate) fn mask_url(url: &str) -> String {
    let (front, query) = match url.split_once('?') {
        Some((front, query)) => (front, Some(query)),
        None => (url, None),
    };
    // A password that was not percent-encoded may hold any character, `?` and `/` included: then
    // the last `@` is behind the question mark.
    if query.is_some_and(|query| query.contains('@')) {
        return mask_user(url);
    }
    let front = mask_user(front);
    match query {
        Some(query) => format!("{front}?{}", mask_query(query)),
        None => front,
    }
}

fn mask_user(url: &str) -> String {
    let Some(end) = url.rfind('@') else {
        return url.to_owned();
    };
    let start = url.find("://").map_or(0, |at| at + 3).min(end);
    let user = url[start..end].split(':').next().unwrap_or_default();
    let has_password = user.len() < end - start;
    let password = if has_password { ":***" } else { "" };
    format!("{}{user}{password}{}", &url[..start], &url[end..])
}

fn mask_query(query: &str) -> String {
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if name.contains("pass") => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    masked.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        for (url, masked) in [
            ("redis://cache:6379/0", "redis://cache:6379/0"),
            ("redis://u:secret@cache/0", "redis://u:***@cache/0"),
            ("redis://:secret@cache", "redis://:***@cache"),
            ("redis://u@cache", "redis://u@cache"),
            ("redis://u:se?c/r@et@cache/1", "redis://u:***@cache/1"),
            (
                "unix:///s?db=1&password=secret",
                "unix:///s?db=1&password=***",
            ),
            ("u:secret@cache", "u:***@cache"),
        ] {
            assert_eq!(mask_url(url), masked);
        }
    }
}
