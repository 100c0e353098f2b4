//! `/metrics` as Prometheus reads it, and as the requirement names it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use larder_testkit::servers::{python, require};

use crate::node::Node;

/// Prints one line for each sample that the parser of the Prometheus client finds.
const PARSE: &str = r#"
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
        print(f"{family.type} {sample.name} {labels or '-'} {sample.value}")
"#;

const REQUIRED: [(&str, &str); 6] = [
    ("cache_hits_total", "counter"),
    ("cache_misses_total", "counter"),
    ("cache_evictions_total", "counter"),
    ("cache_size_bytes", "gauge"),
    ("cache_latency_seconds_bucket", "histogram"),
    ("cache_errors_total", "counter"),
];

/// Samples by name and labels, with type and value; `None` if the parser is not installed.
fn parsed(text: &str) -> Option<BTreeMap<(String, String), (String, f64)>> {
    let mut child = Command::new(require(python())?)
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the parser refused:\n{text}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let sample = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, name, labels, value] = words[..] else {
            panic!("{line}");
        };
        let value = value.parse().unwrap();
        ((name.into(), labels.into()), (kind.into(), value))
    };
    Some(lines.lines().map(sample).collect())
}

#[test]
fn the_required_series_exist_from_the_start_at_zero() {
    let node = Node::start(&[], &[]);
    let answer = node.get("/metrics");
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        answer.head
    );
    let Some(samples) = parsed(&answer.body) else {
        return;
    };
    for (name, kind) in REQUIRED {
        let found: Vec<_> = samples
            .iter()
            .filter(|((found, _), _)| found == name)
            .collect();
        assert!(!found.is_empty(), "{name} in\n{}", answer.body);
        for ((_, labels), (found, value)) in found {
            assert_eq!((found.as_str(), *value), (kind, 0.0), "{name} {labels}");
            let has_both = labels.contains("cache=default") && labels.contains("tier=embedded");
            assert!(has_both, "{name} {labels}");
        }
    }
    let value = |name: &str| {
        let found = samples.iter().find(|((found, _), _)| found == name);
        found.map(|(_, (_, value))| *value).unwrap()
    };
    assert_eq!(value("cache_build_info"), 1.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("cache_start_time_seconds") > 1.7e9);
}

#[test]
fn no_series_appears_twice() {
    let node = Node::start(&[], &[]);
    let text = node.get("/metrics").body;
    let mut series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect();
    let all = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), all);
}
