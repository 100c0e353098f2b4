//! What a page shows is what the tests ran.

const README: &str = include_str!("../../README.md");
const QUICKSTART: &str = include_str!("../quickstart.rs");
const DOCUMENTS: &str = include_str!("../../docs/from-the-documents.md");

/// The blocks of Rust on a page.
fn blocks(page: &str) -> Vec<&str> {
    blocks_of(page, "rust")
}

/// The blocks of a language on a page.
fn blocks_of<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    let fenced = page.split(&*fence).skip(1);
    fenced
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect()
}

#[test]
fn the_readme_shows_the_quickstart() {
    let (_, program) = QUICKSTART.split_once("\n\n").unwrap();
    assert!(blocks(README).contains(&program));
}

#[test]
fn every_block_of_from_the_documents_is_code_that_is_tested() {
    let sources = [
        include_str!("documents/batches.rs"),
        include_str!("documents/cache_aside.rs"),
        include_str!("documents/coherence.rs"),
        include_str!("documents/expiration.rs"),
        include_str!("documents/fail_safe.rs"),
        include_str!("documents/invalidator.rs"),
        include_str!("documents/keys.rs"),
        include_str!("documents/two_tiers.rs"),
        include_str!("documents/write_through.rs"),
    ];
    let blocks = blocks(DOCUMENTS);
    assert!(blocks.len() >= sources.len());
    for block in blocks {
        let tested = sources.iter().any(|source| source.contains(block));
        assert!(tested, "not in examples/src/documents:\n{block}");
    }
}

#[test]
fn pages_on_one_topic_show_their_programs() {
    let outbox = include_str!("../outbox.rs");
    let rules = include_str!("../rules.rs");
    let lock = include_str!("../payment_lock.rs");
    let api = include_str!("../rate_limited_api.rs");
    for (page, program) in [
        (include_str!("../../docs/outbox.md"), outbox),
        (include_str!("../../docs/rules.md"), rules),
        (include_str!("../../docs/locks.md"), lock),
        (include_str!("../../docs/rate-limits.md"), api),
        (include_str!("../../docs/counters.md"), api),
    ] {
        let shown = [blocks_of(page, "rust"), blocks_of(page, "toml")].concat();
        assert!(!shown.is_empty());
        for block in shown {
            // A page does not indent what stands inside of a function.
            let plain = |text: &str| -> Vec<String> {
                text.lines().map(|line| line.trim().to_owned()).collect()
            };
            let (block, program) = (plain(block).join("\n"), plain(program).join("\n"));
            assert!(program.contains(&block), "not in the program:\n{block}");
        }
    }
}
