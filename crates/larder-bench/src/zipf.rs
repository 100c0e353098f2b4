//! A trace of keys in which few are asked for often.

/// `length` keys below `keys`, Zipf-distributed with exponent 0.99, the same for each call.
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
        let rank = cumulated.partition_point(|end| *end < point).min(keys - 1) as u64;
        // Neighbours in rank are no neighbours in key.
        rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
    };
    (0..length).map(draw).collect()
}

/// The keys that occur in a trace.
pub(crate) fn distinct(trace: &[u64]) -> Vec<u64> {
    let mut keys = trace.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys
}
