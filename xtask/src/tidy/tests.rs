//! Runs every rule on this repository, one test per rule, so that `cargo test` finds what CI would.

use super::*;

fn holds(name: &str) {
    let tree = Tree::load(&workspace::root()).unwrap();
    let (_, rule) = RULES.iter().find(|(rule, _)| *rule == name).unwrap();
    let errors = rule(&tree)
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|finding| format!("\n{finding}")).collect();
    assert!(errors.is_empty(), "{}", errors.concat());
}

macro_rules! on_this_repository {
    ($($claim:ident: $rule:literal,)*) => {
        $(
            #[test]
            fn $claim() {
                holds($rule);
            }
        )*

        #[test]
        fn every_rule_is_run_on_this_repository() {
            let run = [$($rule),*];
            assert_eq!(run, RULES.map(|(name, _)| name));
        }
    };
}

on_this_repository! {
    crates_depend_as_the_table_allows: "edges",
    files_are_short_enough: "sizes",
    functions_fit_on_a_screen: "functions",
    every_file_says_what_it_holds: "headers",
    no_module_is_called_mod_rs: "module_files",
    every_file_is_compiled: "dead_files",
    every_page_is_linked_and_every_link_leads_somewhere: "links",
    every_debt_has_an_issue: "todos",
    every_documented_example_compiles: "doctests",
    no_test_sleeps: "sleeps",
    names_use_the_words_of_the_glossary: "words",
    the_pure_crates_are_pure: "purity",
    no_tabs_and_no_blanks_at_line_ends: "whitespace",
    every_page_has_one_title: "markdown",
    no_path_belongs_to_one_machine: "machine_paths",
}
