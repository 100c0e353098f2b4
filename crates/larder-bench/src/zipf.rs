//! A trace of keys in which few are asked for often.

/// The key of a rank; rank 0 is asked for most. Neighbours in rank are no neighbours in key.
fn key(rank: u64) -> u64 {
    rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// The keys of the ranks below `count`, in an order that says nothing about their ranks: neighbours
/// in memory are no neighbours in rank either.
pub(crate) fn keys(count: usize) -> Vec<u64> {
    let mut keys: Vec<u64> = (0..count as u64).map(key).collect();
    keys.sort_unstable();
    keys
}

/// `length` of the keys of the ranks below `keys`, Zipf-distributed with exponent 0.99, the same for
/// each call.
pub(crate) fn trace(keys: usize, length: usize) -> Vec<u64> {
    let mut cumulated = Vec::with_capacity(keys);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += 1.0 / (rank as f64).powf(0.99);
        cumulated.push(sum);
    }
    let mut state = 42u64;
    let draw = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let point = (state >> 11) as f64 / (1u64 << 53) as f64 * sum;
        let rank = cumulated.partition_point(|end| *end < point).min(keys - 1);
        key(rank as u64)
    };
    (0..length).map(draw).collect()
}
