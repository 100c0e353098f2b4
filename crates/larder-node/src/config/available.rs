//! How much memory this process may use.

use std::fs;

/// The least of what the machine has and what the groups of this process are limited to, in bytes;
/// `None` where the system does not say.
pub(super) fn memory() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| machine(&text));
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let limits = paths(&groups)
        .into_iter()
        .filter_map(|path| read(&path)?.trim().parse().ok());
    limits.chain(machine).min()
}

/// What `/proc/meminfo` says of the machine.
fn machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Where the limits of these groups stand: of both versions of control groups, and of the groups
/// around them. Inside a container, its own group is often seen as the root.
fn paths(groups: &str) -> Vec<String> {
    let mut paths = vec![
        "/sys/fs/cgroup/memory.max".to_owned(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(),
    ];
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut group = group.trim_end_matches('/');
        while !group.is_empty() {
            paths.push(format!("{root}{group}/{file}"));
            group = group.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_it_has() {
        let meminfo = "MemTotal:       16384 kB\nMemFree:        1 kB\n";
        assert_eq!(machine(meminfo), Some(16 << 20));
        assert_eq!(machine("nothing"), None);
        assert!(memory().is_none_or(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn all_groups_around_the_process_are_asked() {
        let found = paths("0::/pods/one\n5:cpu,memory:/a\n4:pids:/b\nnonsense\n");
        assert_eq!(
            found[2..],
            [
                "/sys/fs/cgroup/pods/one/memory.max",
                "/sys/fs/cgroup/pods/memory.max",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            ]
        );
    }
}
