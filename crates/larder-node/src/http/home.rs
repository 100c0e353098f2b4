//! The page at `/`: what this is, and where to go on.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;

use crate::node::Node;

const PAGE: &str = include_str!("home.html");

pub(super) async fn page(State(node): State<Arc<Node>>) -> Html<String> {
    let port = node.settings.resp.addr.port().to_string();
    let store = escape(node.cache.describe());
    let page = PAGE
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{port}", &port)
        .replace("{store}", &store);
    Html(page)
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
