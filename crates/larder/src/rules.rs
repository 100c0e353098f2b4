//! Rules: what one event of a program invalidates, said in one place.
//!
//! The alternative is to repeat, wherever a user changes, the list of everything that shows a user,
//! and to forget one entry of it in one of the places.

mod plan;
mod template;
#[cfg(test)]
mod tests;
#[cfg(feature = "toml")]
mod toml;

use std::collections::{BTreeMap, BTreeSet};

#[cfg(feature = "toml")]
use larder_core::error::{Error, ErrorKind, Result};

pub use plan::Report;
pub(crate) use plan::{Plan, Step, compile, report};

/// What events invalidate.
///
/// ```
/// use larder::{Cache, Invalidator, Near, Rules};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// # let users: Cache<u64, String> =
/// #     Cache::builder("app:users").ttl("1h").near(Near::bytes("1MiB")).build().await?;
/// # let orders: Cache<u64, String> =
/// #     Cache::builder("app:orders").ttl("1h").near(Near::bytes("1MiB")).build().await?;
/// let rules = Rules::new().on("user", |rule| {
///     rule.key("app:users", "{id}").tag("app:orders", "user:{id}")
/// });
/// let invalidator = Invalidator::builder()
///     .cache(&users)
///     .cache(&orders)
///     .rules(rules)
///     .build()?;
/// let report = invalidator.event("user", [("id", 7)]).await?;
/// assert_eq!(report.invalidated().len(), 2);
/// # Ok(())
/// # }
/// ```
///
/// Methods check nothing: [`InvalidatorBuilder::build`](crate::InvalidatorBuilder::build) reports
/// all mistakes at once.
///
/// # Templates
///
/// `{id}` stands for the field `id` of the event; `{{` and `}}` are braces.
///
/// *Keys* are written as caches write them: `:` separates parts, and what stands in a field is one
/// part, whatever characters it has. A cache whose key is one string keeps a `:` as it is, and one
/// whose key has several parts escapes it; because a rule does not know which of them it speaks of,
/// a field with a `:` (or an empty one) invalidates both forms. At worst that is a needless miss.
///
/// *Prefixes* and *patterns* are those of keys, in the same form. `*`, `?` and `[…]` mean something
/// where the template has them, and nothing in the value of a field. A field may not end a prefix or
/// stand beside a `*`, a `?` or a `[`: a user 7 would take the users 70 to 79 along, and an empty
/// value everything. A cache keeps only its last 64 prefixes and patterns
/// ([`invalidate_pattern`](crate::Cache::invalidate_pattern)); for values without end, such as users,
/// tags are the better way.
///
/// *Tags* are texts without structure: fields stand in them as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "rules do nothing until an invalidator has them"]
pub struct Rules {
    rules: Vec<(String, Rule)>,
}

/// What one event invalidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Rule {
    orders: Vec<Order>,
}

/// Something that a rule invalidates in one cache.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    kind: Kind,
    cache: String,
    template: String,
}

/// What a template is a template of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Key,
    Tag,
    Prefix,
    Pattern,
    Clear,
}

impl Kind {
    /// The words for them, in code and in configuration.
    #[cfg(feature = "toml")]
    const ALL: [(&'static str, Kind); 5] = [
        ("key", Kind::Key),
        ("tag", Kind::Tag),
        ("prefix", Kind::Prefix),
        ("pattern", Kind::Pattern),
        ("clear", Kind::Clear),
    ];
}

impl Rules {
    /// No rules.
    pub fn new() -> Rules {
        Rules::default()
    }

    /// Says what an event invalidates, beside what was said of it before.
    pub fn on(mut self, event: &str, rule: impl FnOnce(Rule) -> Rule) -> Rules {
        self.rules.push((event.to_owned(), rule(Rule::default())));
        self
    }

    /// Adds other rules.
    pub fn and(mut self, others: Rules) -> Rules {
        self.rules.extend(others.rules);
        self
    }

    /// The events, in order, and how many orders there are for each.
    pub fn events(&self) -> BTreeMap<&str, usize> {
        let mut events = BTreeMap::new();
        for (event, rule) in &self.rules {
            *events.entry(event.as_str()).or_default() += rule.orders.len();
        }
        events
    }

    /// The names of the caches of which the rules speak, in order, each once.
    pub fn caches(&self) -> BTreeSet<&str> {
        let rules = self.rules.iter();
        let orders = rules.flat_map(|(_, rule)| rule.orders.iter());
        orders.map(|order| order.cache.as_str()).collect()
    }

    /// Reads rules from TOML (feature `toml`).
    ///
    /// ```
    /// let rules = larder::Rules::from_toml(
    ///     r#"
    ///     [on.user]
    ///     key = { "app:users" = ["{id}", "{id}:profile"] }
    ///     tag = { "app:orders" = "user:{id}" }
    ///     clear = ["app:front-page"]
    ///     "#,
    /// )?;
    /// # assert_ne!(rules, larder::Rules::new());
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the line of each mistake: what is no TOML, words that are not
    /// known (with the nearest one that is), values of a wrong type, templates that cannot be read.
    /// Names of caches are checked when an invalidator is built.
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Rules> {
        let (rules, wrong) = self::toml::read(text, true);
        let line = |(line, what): (usize, String)| format!("line {line}: {what}");
        let wrong: Vec<String> = wrong.into_iter().map(line).collect();
        refuse(&wrong).map(|()| rules)
    }

    /// Reads the rules of a file that holds other things too (feature `toml`): its tables `[on.…]`.
    /// Gives every mistake in them with its line. What is no TOML at all is for the reader of the
    /// other things to tell.
    #[cfg(feature = "toml")]
    pub fn within_toml(text: &str) -> (Rules, Vec<(usize, String)>) {
        self::toml::read(text, false)
    }
}

impl Rule {
    /// Invalidates a key of a cache.
    pub fn key(self, cache: &str, template: &str) -> Rule {
        self.add(Kind::Key, cache, template)
    }

    /// Invalidates everything in a cache that bears a tag.
    pub fn tag(self, cache: &str, template: &str) -> Rule {
        self.add(Kind::Tag, cache, template)
    }

    /// Invalidates the keys of a cache that begin so. The key that is the prefix without its last
    /// `:` is not among them.
    pub fn prefix(self, cache: &str, template: &str) -> Rule {
        self.add(Kind::Prefix, cache, template)
    }

    /// Invalidates the keys of a cache that match.
    pub fn pattern(self, cache: &str, template: &str) -> Rule {
        self.add(Kind::Pattern, cache, template)
    }

    /// Invalidates all of a cache.
    pub fn clear(self, cache: &str) -> Rule {
        self.add(Kind::Clear, cache, "")
    }

    fn add(mut self, kind: Kind, cache: &str, template: &str) -> Rule {
        self.orders.push(Order {
            kind,
            cache: cache.to_owned(),
            template: template.to_owned(),
        });
        self
    }
}

#[cfg(feature = "toml")]
fn refuse(wrong: &[String]) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    let message = format!("the rules cannot be read: {}", wrong.join("; "));
    Err(Error::new(ErrorKind::Config, message))
}
