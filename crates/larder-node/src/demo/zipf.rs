//! Which product is asked for: few often, most seldom.

use super::PRODUCTS;

/// A number without a common divisor with the number of products: neighbours in rank are spread
/// over all shelves and categories.
const STRIDE: u32 = 7_919;

/// Ranks by Zipf's law with exponent 0.99.
pub(super) struct Zipf {
    cumulated: Vec<f64>,
}

impl Zipf {
    pub(super) fn new() -> Zipf {
        let mut sum = 0.0;
        let cumulated = (1..=PRODUCTS).map(|rank| {
            sum += 1.0 / f64::from(rank).powf(0.99);
            sum
        });
        Zipf {
            cumulated: cumulated.collect(),
        }
    }

    /// The product for a number that is uniform over all of `u64`.
    pub(super) fn pick(&self, random: u64) -> u32 {
        let sum = self.cumulated.last().copied().unwrap_or(0.0);
        let point = (random >> 11) as f64 / (1u64 << 53) as f64 * sum;
        let rank = self.cumulated.partition_point(|end| *end < point);
        product(u32::try_from(rank).unwrap_or(0))
    }
}

/// The product that is asked for more often than all but `rank` others.
pub(super) fn product(rank: u32) -> u32 {
    rank.wrapping_mul(STRIDE) % PRODUCTS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_product_has_a_rank_and_the_first_is_asked_for_most() {
        let products: BTreeSet<u32> = (0..PRODUCTS).map(product).collect();
        assert_eq!(products.len(), PRODUCTS as usize);
        let zipf = Zipf::new();
        let mut counts = vec![0; PRODUCTS as usize];
        for step in 0..100_000u64 {
            counts[zipf.pick(step << 47) as usize] += 1;
        }
        let most = counts.iter().max();
        assert_eq!(most, Some(&counts[product(0) as usize]));
        assert!((10_000..16_000).contains(&counts[product(0) as usize]));
        assert!(zipf.pick(u64::MAX) < PRODUCTS);
    }
}
