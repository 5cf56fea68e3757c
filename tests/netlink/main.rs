//! Requests, events and the mirror on a real kernel. Each test has its own network namespace; needs root.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod ask;
mod events;
mod lab;
mod requests;
