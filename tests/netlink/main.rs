//! Requests, events and the mirror on a real kernel. Each test has a network namespace of its own; needs root.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod ask;
mod events;
mod lab;
mod requests;
