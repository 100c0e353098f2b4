//! How soon this node hears of what others have committed.

use std::sync::Arc;

use larder::{Event, Target};
use larder_core::{Mono, Runtime};
use parking_lot::Mutex;

use super::Node;
use crate::demo::catalogue::tag;
use crate::demo::figures::{Count, Counters};
use crate::demo::message::Stamped;
use crate::demo::{CATEGORIES, PRODUCTS};

/// For each product and each category, the last commit of which no word was heard, and the last word
/// of whose commit nothing is known. One of the two comes first, by another way.
pub(super) struct Heard(Vec<Mutex<Half>>);

#[derive(Clone, Copy, Default)]
enum Half {
    #[default]
    Neither,
    Committed(Mono),
    Heard(Mono),
}

impl Heard {
    pub(super) fn new() -> Heard {
        let slots = (0..PRODUCTS + CATEGORIES).map(|_| Mutex::default());
        Heard(slots.collect())
    }

    /// Another node has committed.
    pub(super) fn committed(&self, stamped: &Stamped, counters: &Counters) {
        let change = &stamped.change;
        let category = change.category.map(|category| PRODUCTS + category);
        let Some(slot) = category.or(change.products.first().copied()) else {
            return;
        };
        let Some(slot) = self.0.get(slot as usize) else {
            return;
        };
        let mut half = slot.lock();
        let committed = stamped.at();
        *half = match *half {
            Half::Heard(heard) if heard >= committed => {
                counters.heard.add(heard.since(committed));
                Half::Neither
            }
            _ => Half::Committed(committed),
        };
    }

    /// Its word came.
    fn word(&self, target: &Target, now: Mono, counters: &Counters) {
        let slot = match target {
            Target::Key(key) => std::str::from_utf8(key).ok().and_then(|id| id.parse().ok()),
            Target::Tag(text) => (0..CATEGORIES)
                .find(|category| tag(*category) == *text)
                .map(|category| PRODUCTS + category),
            _ => None,
        };
        let slot = slot.and_then(|slot: u32| self.0.get(slot as usize));
        let Some(mut half) = slot.map(|slot| slot.lock()) else {
            return;
        };
        *half = match *half {
            Half::Committed(committed) => {
                counters.heard.add(now.since(committed));
                Half::Neither
            }
            _ => Half::Heard(now),
        };
    }
}

/// Follows the events of the products.
pub(super) async fn follow(node: Arc<Node>) {
    let mut events = node.shop.events();
    let own = node.shop.products.node();
    while let Some(event) = events.next().await {
        match event {
            Event::Changed(changed) => {
                if changed.origin != own {
                    node.counters.add(Count::Received);
                }
                // Also if this node itself has found the notice in the outbox.
                let now = node.runtime.precise();
                node.heard.word(&changed.target, now, &node.counters);
            }
            Event::Missed(events) => tracing::warn!(events, "events came too fast"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::catalogue::Change;

    fn stamped(category: Option<u32>, at: u64) -> Stamped {
        let change = Change {
            version: 1,
            products: vec![7],
            category,
        };
        Stamped { change, at }
    }

    #[test]
    fn commit_and_word_meet_whichever_comes_first() {
        let (heard, counters) = (Heard::new(), Counters::default());
        let key = Target::Key("7".into());
        heard.committed(&stamped(None, 100), &counters);
        heard.word(&key, Mono(107), &counters);
        heard.word(&key, Mono(205), &counters);
        heard.committed(&stamped(None, 200), &counters);
        heard.committed(&stamped(Some(3), 300), &counters);
        heard.word(&Target::Tag(tag(3)), Mono(303), &counters);
        let spread = counters.heard.spread();
        let nanos = |percent| spread.percentile(percent).map(|took| took.as_nanos());
        assert_eq!(
            (nanos(1), nanos(50), nanos(99)),
            (Some(3), Some(5), Some(7))
        );
        // Word of an earlier change, which was carried out twice.
        heard.word(&key, Mono(390), &counters);
        heard.committed(&stamped(None, 400), &counters);
        assert_eq!(counters.heard.spread(), spread);
        heard.word(&key, Mono(409), &counters);
        assert_ne!(counters.heard.spread(), spread);
    }
}
