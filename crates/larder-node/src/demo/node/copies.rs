//! Every copy that this node has, told to the stage, which compares it with the database.

use larder::{Cache, Source};

use super::say;
use super::shop::Shop;
use crate::demo::message::{Copies, CopyTier, News, ProductCopy, ShelfCopy};
use crate::demo::{PER_SHELF, PRODUCTS};

/// Copies of one message, of which each has some hundred bytes.
const PART: usize = 250;

/// A near cache of this size holds nothing.
const NOTHING: u64 = 1;

/// Tells what is in the near cache; then empties that, and tells what lies behind it.
pub(super) async fn tell(shop: &Shop) {
    tell_from(shop, CopyTier::Near).await;
    // Neither fails: the caches are open, and the size is not zero.
    let _ = shop.products.resize_near(NOTHING);
    let _ = shop.shelves.resize_near(NOTHING);
    tell_from(shop, CopyTier::Remote).await;
    say(&News::CopiesEnd);
}

async fn tell_from(shop: &Shop, tier: CopyTier) {
    let products: Vec<u32> = (0..PRODUCTS).collect();
    for ids in products.chunks(PART) {
        let found = found(&shop.products, ids, tier).await;
        let copy = |(id, row)| ProductCopy { id, row };
        say(&News::Copies(Copies {
            tier,
            products: found.into_iter().map(copy).collect(),
            shelves: Vec::new(),
        }));
    }
    let shelves: Vec<u32> = (0..PRODUCTS / PER_SHELF).collect();
    for ids in shelves.chunks(PART) {
        let found = found(&shop.shelves, ids, tier).await;
        let copy = |(id, shelf)| ShelfCopy { id, shelf };
        say(&News::Copies(Copies {
            tier,
            products: Vec::new(),
            shelves: found.into_iter().map(copy).collect(),
        }));
    }
}

/// The copies of these keys in a tier, without loading any.
async fn found<V>(cache: &Cache<u32, V>, ids: &[u32], tier: CopyTier) -> Vec<(u32, V)>
where
    V: Clone + Send + Sync + 'static,
{
    let values = match cache.get_many(ids).await {
        Ok(values) => values,
        Err(error) => {
            let why = format!("its copies cannot be read – {error}");
            say(&News::Failed { why });
            return Vec::new();
        }
    };
    let is_from = |source| match tier {
        CopyTier::Near => source == Source::Near,
        CopyTier::Remote => source == Source::Remote,
    };
    let copies = ids.iter().zip(values);
    let copies = copies.filter_map(|(id, value)| Some((*id, value?)));
    copies
        .filter(|(_, value)| is_from(value.source()))
        .map(|(id, value)| (id, value.into_value()))
        .collect()
}
