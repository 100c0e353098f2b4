//! What a node sells from: two caches over one remote tier, the catalogue behind them, and the
//! outbox that it follows. Used as any program would use the library.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use larder::embedded::Embedded;
use larder::mesh::{
    Address, ClusterName, Membership, MeshConfig, MeshStore, NodeName, Seat, Secret,
};
use larder::outbox::Tail;
use larder::redis::Redis;
use larder::{
    BusStats, Cache, Cx, Error, Events, Invalidator, LoadError, Loaded, Near, NearStats, Remote,
    TokioRuntime,
};
use larder_core::Runtime;

use crate::demo::catalogue::{Catalogue, Row, tag};
use crate::demo::figures::{Count, Counters};
use crate::demo::message::{Shelf, StartBus};
use crate::demo::{CLUSTER, PER_SHELF, PRODUCTS_CACHE, SHELVES_CACHE};

/// Far more than the catalogue takes: what is missing was invalidated, not evicted.
const NEAR: &str = "64MiB";

/// Longer than a demo takes: what is right was invalidated, and not just over.
const TTL: &str = "2h";

/// For how long others leave a key alone that a node was loading when it was killed. All readers would
/// stand before the busiest key for the usual three seconds.
const LEASE: &str = "1s";

/// How long a node may take until it follows the log.
const JOINED_WITHIN: Duration = Duration::from_secs(20);
const JOINED_EVERY: Duration = Duration::from_millis(5);

/// Why a product or a shelf could not be read.
pub(super) type Trouble = LoadError<String>;

pub(super) struct Shop {
    pub(super) catalogue: Catalogue,
    pub(super) products: Cache<u32, Row>,
    pub(super) shelves: Cache<u32, Shelf>,
    pub(super) invalidator: Invalidator,
    tail: Option<Tail>,
    mesh: Option<MeshStore>,
}

impl Shop {
    pub(super) async fn open(name: &str, file: &Path, bus: StartBus) -> Result<Shop, String> {
        let catalogue = Catalogue::open(file).await;
        let catalogue = catalogue.map_err(|error| format!("the catalogue – {error}"))?;
        let opened = match bus {
            StartBus::Mesh { secret, members } => match member(name, &secret, &members).await {
                Ok(mesh) => Shop::over(catalogue, name, mesh.clone())
                    .await
                    .map(|shop| Shop {
                        mesh: Some(mesh),
                        ..shop.following()
                    }),
                Err(error) => Err(error),
            },
            StartBus::Redis { url, key_prefix } => match Redis::open(&url) {
                Ok(redis) => Shop::over(catalogue, name, redis.key_prefix(key_prefix))
                    .await
                    .map(Shop::following),
                Err(error) => Err(error),
            },
            StartBus::Off => {
                let store = Embedded::new(Arc::new(TokioRuntime::current()));
                Shop::over(catalogue, name, store).await
            }
        };
        opened.map_err(|error| error.to_string())
    }

    async fn over<R>(catalogue: Catalogue, name: &str, remote: R) -> Result<Shop, Error>
    where
        R: Remote + Clone + 'static,
    {
        let products = cache(PRODUCTS_CACHE, name, remote.clone()).await?;
        let shelves = cache(SHELVES_CACHE, name, remote).await?;
        let invalidator = Invalidator::builder().cache(&products).build()?;
        Ok(Shop {
            catalogue,
            products,
            shelves,
            invalidator,
            tail: None,
            mesh: None,
        })
    }

    /// Carries out what writers that died have left in the outbox.
    fn following(self) -> Shop {
        let tail = Tail::start(self.catalogue.outbox.clone(), &self.invalidator);
        Shop {
            tail: Some(tail),
            ..self
        }
    }

    /// Waits until near copies are in use.
    pub(super) async fn joined(&self, runtime: &TokioRuntime) -> Result<(), String> {
        let begun = runtime.now();
        loop {
            let is_vouched = self.mesh.as_ref().is_none_or(MeshStore::is_leased);
            let flushes = |bus: BusStats| bus.flushes;
            let follow =
                flushes(self.products.stats().bus) > 0 && flushes(self.shelves.stats().bus) > 0;
            if is_vouched && follow {
                return Ok(());
            }
            if runtime.now().since(begun) > JOINED_WITHIN {
                return Err(format!("the others are not found within {JOINED_WITHIN:?}"));
            }
            tokio::time::sleep(JOINED_EVERY).await;
        }
    }

    /// A product, or that there is none.
    pub(super) async fn product(&self, id: u32) -> Result<Loaded<Row>, Trouble> {
        product(&self.products, &self.catalogue, id).await
    }

    /// A shelf, made of its products.
    pub(super) async fn shelf(&self, id: u32) -> Result<Loaded<Shelf>, Trouble> {
        let (products, catalogue) = (self.products.clone(), self.catalogue.clone());
        let load = move |cx: Cx<u32, _>| async move {
            let mut shelf = Shelf {
                versions: Vec::new(),
                worth: 0,
            };
            for id in on_shelf(*cx.key()) {
                let row = product(&products, &catalogue, id).await;
                let row = row.map_err(|error| error.to_string())?;
                shelf.versions.push(row.version);
                let price = row.product.as_ref().map_or(0, |product| product.price);
                shelf.worth += u64::from(price);
            }
            Ok(shelf)
        };
        self.shelves.get_or_load(&id, load).await
    }

    pub(super) fn events(&self) -> Events {
        self.products.events()
    }

    /// What the caches and the tail count by themselves.
    pub(super) fn count(&self, counters: &Counters) -> (u64, u64) {
        let stats = [self.products.stats(), self.shelves.stats()];
        let sent = stats.iter().flat_map(|stats| &stats.bus.sent);
        let is_told = self.tail.is_some();
        let sent = sent.filter(|_| is_told).map(|(_, count)| count).sum();
        counters.set(Count::Sent, sent);
        let carried_out = self.tail.as_ref().map(|tail| tail.stats().carried_out);
        counters.set(Count::CarriedOut, carried_out.unwrap_or(0));
        let fenced = stats.iter().map(|stats| stats.bus.fenced.as_millis()).max();
        let fenced = fenced.and_then(|fenced| u64::try_from(fenced).ok());
        counters.set(Count::FencedMs, fenced.unwrap_or(0));
        let size = |of: fn(&NearStats) -> u64| stats.iter().map(|s| of(&s.near)).sum();
        (size(|near| near.entries), size(|near| near.bytes))
    }
}

/// The products of a shelf.
pub(super) fn on_shelf(shelf: u32) -> std::ops::Range<u32> {
    shelf * PER_SHELF..(shelf + 1) * PER_SHELF
}

async fn product(
    products: &Cache<u32, Row>,
    catalogue: &Catalogue,
    id: u32,
) -> Result<Loaded<Row>, Trouble> {
    let catalogue = catalogue.clone();
    let load = move |cx: Cx<u32, _>| async move {
        let row = catalogue.row(*cx.key()).await;
        let row = row.map_err(|error| error.to_string())?;
        if let Some(product) = &row.product {
            cx.tag(tag(product.category));
        }
        Ok(row)
    };
    products.get_or_load(&id, load).await
}

async fn cache<V>(
    cache: &str,
    node: &str,
    remote: impl Remote + 'static,
) -> Result<Cache<u32, V>, Error>
where
    V: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    Cache::builder(cache)
        .ttl(TTL)
        .lease(LEASE)
        .near(Near::bytes(NEAR))
        .node(node)
        .remote(remote)
        .build()
        .await
}

/// This node among the configured members.
async fn member(
    name: &str,
    secret: &str,
    members: &[(String, std::net::SocketAddr)],
) -> Result<MeshStore, Error> {
    let own = members.iter().find(|(member, _)| member == name);
    let listen = own.map_or(([127, 0, 0, 1], 0).into(), |(_, address)| *address);
    let mut config = MeshConfig::new(
        ClusterName::new(CLUSTER)?,
        NodeName::new(name)?,
        Secret::new(secret)?,
        listen,
    );
    let seats = members.iter().map(|(name, address)| {
        Ok(Seat {
            name: NodeName::new(name)?,
            address: Address::parse(&address.to_string())?,
        })
    });
    config.membership = Membership::Fixed(seats.collect::<Result<_, Error>>()?);
    MeshStore::start(config, Arc::new(TokioRuntime::current())).await
}
