//! The ladder: what each group of rules is for.

use larder_testkit::sim::{RUNGS, WEATHERS};

/// Prints how many of these seeds, from 0, end with a copy that is stale for good, cell by cell.
/// Whether the whole engine has none.
pub(crate) fn run(seeds: u64, threads: usize) -> bool {
    let names = WEATHERS.map(|weather| {
        let (name, seeds) = (weather.name, weather.share_of(seeds));
        format!("{name}, of {seeds}")
    });
    println!("Runs that ended with a copy that is stale for good:\n");
    println!("| | {} |", names.join(" | "));
    println!("|---|{}", "---:|".repeat(names.len()));
    let mut passed = true;
    for rung in RUNGS {
        let cells = WEATHERS.map(|weather| {
            let stale = rung.stale_runs(weather, weather.share_of(seeds), threads);
            passed &= stale == 0 || !(rung.is_whole() && weather.is_promised());
            eprintln!("{}, {}: {stale}", rung.name, weather.name);
            stale.to_string()
        });
        println!("| {} | {} |", rung.name, cells.join(" | "));
    }
    passed
}
