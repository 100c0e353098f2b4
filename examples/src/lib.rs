//! The code of the project's pages, compiled and run: nothing that a page shows may rot.
//!
//! The programs stand beside this crate's manifest, one file each.

#![forbid(unsafe_code)]

#[cfg(test)]
mod documents;
#[cfg(test)]
mod pages;

/// The programs of README.md.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The programs of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../docs/library.md")]
struct Library;

/// The programs of the page on loads.
#[cfg(doctest)]
#[doc = include_str!("../../docs/loads.md")]
struct Loads;

/// The programs of the page on what loaders answer.
#[cfg(doctest)]
#[doc = include_str!("../../docs/answers.md")]
struct Answers;

/// The programs of the page on fail-safe.
#[cfg(doctest)]
#[doc = include_str!("../../docs/fail-safe.md")]
struct FailSafe;

/// The programs of the page on storms.
#[cfg(doctest)]
#[doc = include_str!("../../docs/storms.md")]
struct Storms;
