"""The compiler and the linker for the boards: what is installed when that will do, else fetched into the cache.

The compiler must come with the source of its standard library, which most targets here do not get precompiled. A
rustup toolchain with the component `rust-src` has it. Elsewhere Debian's packages are unpacked, not installed. The
linker, and the C library for it, are those of zig, from PyPI. Nothing outside of the cache is changed.
"""

import os
import shutil
import subprocess
from pathlib import Path

import packages
import pypi
from boards import CACHE, cache_locked, say, stop

# Older ones do not know `-Cpanic=immediate-abort`, and Cargo.toml asks for no less.
OLDEST_RUST = (1, 95)
ZIG = ("ziglang==0.17.1", "cargo-zigbuild==0.24.1")
# Variables that change what cargo builds: set for other builds, they must not get into these.
STEERING = (
    "CARGO_BUILD_",
    "CARGO_ENCODED_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CARGO_UNSTABLE_",
    "RUSTC",
    "RUSTFLAGS",
)


def environment() -> dict[str, str]:
    """The variables with which cargo compiles and links for the boards. Fetches what is missing first."""
    with cache_locked():
        compiler = _rustup() or _debian()
        zig = _zig()
    cache = str(CACHE / "zig-cache")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(STEERING)},
        **compiler,
        "PATH": os.pathsep.join(filter(None, [str(zig), compiler.get("PATH"), os.environ["PATH"]])),
        # The settings of cross.toml are for nightly compilers; those of a release take them as well when asked to.
        "RUSTC_BOOTSTRAP": "1",
        "ZIG_GLOBAL_CACHE_DIR": cache,
        "ZIG_LOCAL_CACHE_DIR": cache,
        "CARGO_ZIGBUILD_CACHE_DIR": cache,
    }


def _rustup() -> dict[str, str] | None:
    """The variables for a toolchain of rustup that has the source of the library; the active one is preferred."""
    if not shutil.which("rustup"):
        return None
    listed = _output(["rustup", "toolchain", "list"]).splitlines()
    for line in sorted(listed, key=lambda line: "active" not in line):
        toolchain = line.split()[0]
        compiler = ["rustup", "run", toolchain, "rustc"]
        library = Path(_output([*compiler, "--print", "sysroot"])) / "lib/rustlib/src/rust/library"
        if (library / "Cargo.lock").is_file() and _numbers(_output([*compiler, "--version"])) >= OLDEST_RUST:
            say(f"compiler: rustup's {toolchain}, which has rust-src")
            return {"RUSTUP_TOOLCHAIN": toolchain}
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of `rustc 1.95.0 (…)`."""
    return tuple(int(number) for number in version.split()[1].split(".")[:2])


def _debian() -> dict[str, str]:
    """The variables for Debian's compiler, unpacked in the cache."""
    home = CACHE / "rust"
    programs = home / "bin"
    if not home.is_dir():
        packages.fetch(
            ["rustc-web", "cargo-web", "rust-web-src"],
            home,
            without=["usr/share", "usr/src/*/compiler", "usr/src/*/debian", "usr/src/*/src"],
            instead="or install rustup and its component rust-src, and this script uses that compiler",
        )
    if not programs.is_dir():
        _wrap(home, programs)
    say(f"compiler: Debian's, in {home}")
    return {"PATH": str(programs), "RUSTC": str(programs / "rustc")}


def _wrap(home: Path, programs: Path) -> None:
    """Makes programs that find their libraries where they were unpacked."""
    libraries = ":".join(map(str, sorted(home.glob("usr/lib/*-linux-gnu*"))))
    programs.mkdir()
    for program in ("cargo", "rustc", "rustdoc"):
        wrapper = programs / program
        wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{home}/usr/bin/{program}" "$@"\n')
        wrapper.chmod(0o755)


def _zig() -> Path:
    """The folder with the linker's programs."""
    try:
        return pypi.fetched(*ZIG) / "bin"
    except pypi.Unreachable as error:
        stop(str(error))


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
