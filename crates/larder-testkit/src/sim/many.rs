//! Reads of many keys at once, by a loader that is given all that are to be loaded.

use std::time::Duration;

use larder::{ManyCx, ManyOptions};
use larder_core::runtime::Runtime;

use super::derived::DERIVED;
use super::workload::{SourceDown, World, tag_of};
use super::{Random, Setup};

/// What the loader of a call does.
#[derive(Clone, Copy)]
struct Manner {
    pause: Duration,
    /// It fails, as a whole.
    fails: bool,
    /// What is left out, as bits: the source has no such key.
    absent: u64,
    /// These fail, each by itself.
    locked: u64,
}

impl Manner {
    fn draw(pause: Duration, keys: u64, random: &mut Random) -> Manner {
        let mut some = |per_mille| match random.per_mille(per_mille) {
            true => 1 << random.below(keys),
            false => 0,
        };
        let (absent, locked) = (some(150), some(100));
        Manner {
            pause,
            fails: random.per_mille(50),
            absent,
            locked,
        }
    }
}

fn has(bits: u64, key: u64) -> bool {
    bits >> (key % DERIVED) & 1 == 1
}

impl World {
    /// Reads some keys by one call, or what is derived from them, and checks what comes. One is asked
    /// for twice.
    pub(super) async fn read_many(
        &self,
        node: usize,
        pause: Duration,
        setup: Setup,
        random: &mut Random,
    ) -> bool {
        let (chosen, first) = (random.below(1 << setup.keys), random.below(setup.keys));
        let derived = match random.per_mille(400) {
            true => DERIVED,
            false => 0,
        };
        let others = (0..setup.keys).filter(|key| has(chosen, *key));
        let bases: Vec<u64> = std::iter::once(first).chain(others).collect();
        let manner = Manner::draw(pause, setup.keys, random);
        let options = ManyOptions::new().chunk(random.below(setup.keys) as usize + 1);
        let begun: Vec<_> = bases.iter().map(|key| self.begin(node, *key)).collect();
        let keys: Vec<u64> = bases.iter().map(|key| derived + key).collect();
        let (cache, load) = (self.node(node), self.loader_of_many(node, manner));
        let given = cache.get_or_load_many_with(&keys, options, load).await;
        let mut passed = true;
        for ((begun, key), one) in begun.into_iter().zip(bases).zip(given) {
            let what = ("read among many", node, key);
            match one {
                Ok(Some(found)) => self.check(begun, what, &found),
                Ok(None) => self.say(begun.0, what, || "nothing".to_owned()),
                Err(error) => {
                    self.say(begun.0, what, || format!("{error:?}"));
                    passed = false;
                }
            }
        }
        passed
    }

    /// A loader that takes twice as long as its manner says, and reads base keys from the source, and
    /// those of derived ones through the cache.
    fn loader_of_many(
        &self,
        node: usize,
        manner: Manner,
    ) -> impl Fn(ManyCx<u64, u64>) -> Rows + Send + Sync + use<> {
        let (source, runtime) = (self.source.clone(), self.runtime.on_node(node));
        let base = self.base_of(node, manner.pause);
        move |cx| {
            let (source, runtime, base) = (source.clone(), runtime.clone(), base.clone());
            Box::pin(async move {
                runtime.sleep(manner.pause).await;
                let mut rows = Vec::new();
                for key in cx.keys().iter().filter(|key| !has(manner.absent, **key)) {
                    let value = match key.checked_sub(DERIVED) {
                        Some(key) => base(key).await,
                        None => {
                            cx.of(key).tag(tag_of(*key));
                            Ok(source.read(*key))
                        }
                    };
                    let value = value.and_then(|value| match has(manner.locked, *key) {
                        true => Err(SourceDown),
                        false => Ok(value),
                    });
                    rows.push((*key, value));
                }
                runtime.sleep(manner.pause).await;
                match manner.fails {
                    true => Err(SourceDown),
                    false => Ok(rows),
                }
            })
        }
    }
}

type Rows = larder_core::runtime::BoxFuture<
    'static,
    Result<Vec<(u64, Result<u64, SourceDown>)>, SourceDown>,
>;
