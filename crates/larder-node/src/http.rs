//! The HTTP port: health, readiness, metrics, and a page that says what this is.
//!
//! It answers even while the node drains, so that a balancer sees it leave; it reads nothing but
//! what the node knows, and takes no orders.

mod health;
mod home;
mod server;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::metrics::CONTENT_TYPE;
use crate::node::{Node, SharedNode};
use crate::nodes::NodeRow;
pub(crate) use server::run;

/// Largest body that a request may announce. No address here wants one.
const MAX_BODY: usize = 64 << 10;

fn router(node: SharedNode) -> Router {
    Router::new()
        .route("/", get(home::page))
        .route("/healthz", get(health::alive))
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/nodes", get(nodes))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(refuse_large_bodies))
        .with_state(node)
}

async fn metrics(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let text = node.metrics.export(node.cache.runtime().wall());
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}

/// The nodes of the mesh; none without one.
async fn nodes(State(node): State<Arc<Node>>) -> Response {
    let rows = node.mesh.as_ref().map(crate::nodes::rows);
    let row = |row: NodeRow| {
        json!({
            "name": row.name,
            "address": row.address,
            "state": row.state,
            "seq": row.applied,
            "lag": row.lag,
        })
    };
    let rows: Vec<Value> = rows.unwrap_or_default().into_iter().map(row).collect();
    Json(json!({ "nodes": rows })).into_response()
}

async fn refuse_large_bodies(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        let what = format!("the body is larger than {MAX_BODY} bytes");
        return problem(StatusCode::PAYLOAD_TOO_LARGE, &what);
    }
    next.run(request).await
}

async fn not_found(request: Request) -> Response {
    let what = format!("there is nothing at {}", request.uri().path());
    problem(StatusCode::NOT_FOUND, &what)
}

async fn wrong_method(method: Method, request: Request) -> Response {
    let what = format!(
        "{} cannot be used with {method}; use GET",
        request.uri().path()
    );
    problem(StatusCode::METHOD_NOT_ALLOWED, &what)
}

/// A refusal as JSON.
fn problem(status: StatusCode, what: &str) -> Response {
    let body =
        json!({ "error": what, "see": ["/", "/healthz", "/readyz", "/metrics", "/api/v1/nodes"] });
    (status, Json(body)).into_response()
}
