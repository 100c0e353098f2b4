//! Is it alive, and may it be sent work?
//!
//! *Alive* never depends on anything but this process. *Ready* ends when the node drains, and
//! does not depend on the server behind it: taking a node out of service because its server is
//! away would remove exactly what still answers. `?verbose` says how the server is.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::node::Node;

/// How long `?verbose` waits for the store.
const PROBE: Duration = Duration::from_millis(500);

pub(super) async fn alive() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}

pub(super) async fn ready(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    let is_stopping = node.is_stopping();
    // This port is served only once both are bound.
    let mut checks = json!({
        "listeners": "ok",
        "draining": is_stopping,
    });
    let is_verbose = |query: String| query.split('&').any(|part| part.starts_with("verbose"));
    if query.is_some_and(is_verbose) {
        checks["store"] = store(&node).await;
    }
    let (status, word) = match is_stopping {
        false => (StatusCode::OK, "ready"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    (status, Json(json!({ "status": word, "checks": checks }))).into_response()
}

/// What the store answers to the read of a key that nobody has.
async fn store(node: &Node) -> Value {
    let database = node.cache.database(0);
    let probe = Bytes::from_static(b"larder:readyz");
    let (state, error) = match timeout(PROBE, database.get(&probe)).await {
        Ok(Ok(_)) => ("ok", None),
        Ok(Err(error)) => ("away", Some(error.to_string())),
        Err(_) => ("away", Some(format!("no answer within {PROBE:?}"))),
    };
    let mut check = json!({ "name": node.cache.describe(), "state": state });
    if let Some(error) = error {
        check["error"] = error.into();
    }
    check
}
