//! argv → daemon or client.
fn main() {}
