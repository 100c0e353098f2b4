//! Properties that hold for every stream and every way of cutting it, through the public API.

mod pieces;
mod reply;
mod request;
