//! How the program is linked: at a fixed address. A position-independent one is relocated at its start, which turns
//! every page of its tables (some 50 kB) into memory of its own; so is no page of this one. On the MIPS boards there is
//! no choice (their thread-locals crash in a position-independent program), so all are alike.

fn main() {
    println!("cargo::rerun-if-changed=board/link.rs");
    println!("cargo::rustc-link-arg-bin=failover=-no-pie");
}
