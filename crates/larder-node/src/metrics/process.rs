//! What the kernel says about this process.

/// Memory that the process holds (resident set), in bytes; 0 where the kernel does not say.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    resident_of(&status)
}

fn resident_of(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_read_in_bytes() {
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t   12 kB\n"), 12_288);
        assert_eq!(resident_of(""), 0);
    }
}
