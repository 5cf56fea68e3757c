//! How the program is linked on a machine with glibc: at a fixed address. A position-independent program is relocated
//! at its start, which turns every page of its tables (some 50 kB) into memory of its own.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=board/link.rs");
    if var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu") {
        println!("cargo::rustc-link-arg-bin=failover=-no-pie");
    }
}
