//! The text of `table inet failover`, with the real `nft`, on the real kernel: what it accepts, and what the table does to
//! packets. The rules and routes beside it are made by hand; the daemon takes no part.
//!
//! Each test creates network namespaces, so it must run as root.
#![allow(clippy::panic, clippy::unwrap_used)] // it is all tests

mod accepted;
mod helpers;
mod inbound;
#[path = "../lab/mod.rs"]
#[allow(unreachable_pub, unused_imports)]
mod lab;
mod moved;
mod nat;
mod others;
mod plans;
mod stays;
mod world;
