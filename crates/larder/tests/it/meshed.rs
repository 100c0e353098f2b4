//! Caches over a mesh: real nodes with real links, and nothing else between them.

mod ages;
mod faults;
mod lives;
mod readers;
mod under_load;
mod values;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::mesh::MeshStore;
use larder::{Cache, Cx, Near};
use larder_testkit::mesh::MeshNodes;

pub(crate) type Numbers = Cache<u64, u64>;

/// What is loaded: one number for all keys.
#[derive(Clone, Default)]
pub(crate) struct Truth(Arc<AtomicU64>);

impl Truth {
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) async fn read(&self, cache: &Numbers, key: u64) -> u64 {
        self.read_tagged(cache, key, None).await
    }

    pub(crate) async fn read_tagged(
        &self,
        cache: &Numbers,
        key: u64,
        tag: Option<&'static str>,
    ) -> u64 {
        let truth = self.clone();
        let loader = move |cx: Cx<u64, _>| async move {
            if let Some(tag) = tag {
                cx.tag(tag);
            }
            Ok::<_, Infallible>(truth.get())
        };
        *cache.get_or_load(&key, loader).await.unwrap()
    }
}

pub(crate) async fn cache(node: &MeshStore, name: &str) -> Numbers {
    let near = Near::bytes("1MiB");
    let built = Cache::builder("numbers").ttl("1h").near(near);
    built.node(name).remote(node.clone()).build().await.unwrap()
}

pub(crate) async fn caches(nodes: &MeshNodes, count: usize) -> Vec<Numbers> {
    let mut caches = Vec::new();
    for at in 0..count {
        caches.push(cache(nodes.node(at), &format!("node{}", at + 1)).await);
    }
    caches
}

/// Waits until reads of this key are hits in the near cache.
pub(crate) async fn warm(nodes: &MeshNodes, truth: &Truth, cache: &Numbers, key: u64) {
    nodes
        .until("a hit of the near cache", async || {
            let before = cache.stats().near.hits;
            truth.read(cache, key).await;
            cache.stats().near.hits > before
        })
        .await;
}
