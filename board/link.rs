//! How the program is linked.
//!
//! For a router (`cross.toml`): without sections that are not used there, and with a small C library: zig compiles it when it
//! links, and takes the level of optimisation from the linker's arguments.
//!
//! On a machine with glibc: statically, and at a fixed address. A program that is linked dynamically has some 80 kB of
//! memory more, for the loader and what it relocates, and runs only where the C library is as new as the one that it was
//! built with. A position-independent one is relocated at its start, which turns every page of its tables (some 50 kB) into
//! memory of its own.
//!
//! rustc's own way, `-C target-feature=+crt-static`, fails here without `--target`: cargo then asks it of procedural macros
//! too, and they are shared libraries. So rustc names the shared libraries, and linker scripts of the same names, found
//! first, lead to the static ones. Where those are not installed, the program is linked dynamically.

use std::env::var;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

/// The libraries that rustc names, and what is linked instead. The last two depend on each other.
const LIBRARIES: [(&str, &str); 7] = [
    ("util", "-l:libutil.a"),
    ("rt", "-l:librt.a"),
    ("pthread", "-l:libpthread.a"),
    ("m", "-l:libm.a"),
    ("dl", "-l:libdl.a"),
    ("gcc_s", "-l:libgcc_eh.a -l:libgcc.a -l:libc.a"),
    ("c", "-l:libc.a -l:libgcc_eh.a -l:libgcc.a"),
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=board/link.rs");
    println!("cargo::rerun-if-changed=board/discard.ld");
    let is = |setting: &str, value: &str| {
        var(setting).is_ok_and(|set| set.split(',').any(|one| one == value))
    };
    if is("CARGO_CFG_PANIC", "immediate-abort") {
        // Beside the other scripts: where a target directory serves several checkouts, one of them may go.
        let scripts = var("OUT_DIR").map_err(io::Error::other)?;
        fs::copy("board/discard.ld", Path::new(&scripts).join("discard.ld"))?;
        link(&format!("-Wl,-T,{scripts}/discard.ld"));
        link("-Os");
    }
    // With the target feature for static programs, rustc links the static libraries itself.
    if is("CARGO_CFG_TARGET_ENV", "gnu") && !is("CARGO_CFG_TARGET_FEATURE", "crt-static") {
        link("-no-pie");
        if has_static_libraries() {
            link_statically()?;
        }
    }
    Ok(())
}

fn link_statically() -> io::Result<()> {
    let scripts = var("OUT_DIR").map_err(io::Error::other)?;
    for (library, instead) in LIBRARIES {
        let script = Path::new(&scripts).join(format!("lib{library}.so"));
        fs::write(script, format!("GROUP ( {instead} )\n"))?;
    }
    link("-static");
    link(&format!("-L{scripts}"));
    Ok(())
}

/// Whether the linker finds the static C library: the answer is a path then, else just the name that was asked for.
fn has_static_libraries() -> bool {
    let linker = var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_owned());
    let answer = Command::new(linker).arg("-print-file-name=libc.a").output();
    answer.is_ok_and(|answer| answer.stdout.starts_with(b"/"))
}

fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bin=failover={argument}");
}
