//! A near hit allocates nothing. A binary of its own, because it counts every allocation.

#![allow(
    unsafe_code,
    reason = "a global allocator is unsafe by its nature; this one only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;

use larder::{Cache, Near};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations() -> u64 {
    COUNT.with(Cell::get)
}

#[tokio::test]
async fn a_near_hit_allocates_nothing() {
    let cache: Cache<String, String> = Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("1MiB"))
        .build()
        .await
        .unwrap();
    cache
        .insert("ada@example.org", "Ada".to_owned())
        .await
        .unwrap();
    let load = |_| async { Ok::<_, Infallible>(String::new()) };
    // The first hit of a thread may prepare what the later ones use.
    cache.get("ada@example.org").await.unwrap();
    let before = allocations();
    for _ in 0..100 {
        let got = cache.get("ada@example.org").await.unwrap();
        assert_eq!(got.unwrap().value(), "Ada");
        let loaded = cache.get_or_load("ada@example.org", load).await.unwrap();
        assert_eq!(loaded.value(), "Ada");
    }
    assert_eq!(allocations() - before, 0);
    cache.get("somebody else").await.unwrap();
    drop(Box::new(1));
    assert!(allocations() > before, "the counter counts");
}
