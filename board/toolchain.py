"""The compiler and the linker for the boards: what is installed when that will do, else fetched into the cache.

The compiler must come with the source of its standard library, which most targets here do not get precompiled. A
rustup toolchain with the component `rust-src` has it. Elsewhere Debian's packages are unpacked, not installed. The
linker, and the C library for it, are those of zig, from PyPI. Nothing outside of the cache is changed.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boards import CACHE, say, stop

# Older ones do not know `-Cpanic=immediate-abort`, and Cargo.toml asks for no less.
OLDEST_RUST = (1, 95)
ZIG = ("ziglang==0.17.1", "cargo-zigbuild==0.24.1")
DEBIAN = ("rustc-web", "cargo-web", "rust-web-src")
INSTEAD = "or install rustup and run `rustup component add rust-src`, and this script uses that compiler"


def environment() -> dict[str, str]:
    """The variables with which cargo compiles and links for the boards. Fetches what is missing first."""
    with _locked():
        compiler = _rustup() or _debian()
        zig = _zig()
    # What is set for other builds must not get into this one.
    inherited = {name: value for name, value in os.environ.items() if not _steers_cargo(name)}
    fixed = {
        "PATH": os.pathsep.join([str(zig), compiler.get("PATH", ""), os.environ["PATH"]]),
        # The settings of cross.toml are for nightly compilers; those of a release take them as well when asked to.
        "RUSTC_BOOTSTRAP": "1",
        "ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig-cache"),
        "ZIG_LOCAL_CACHE_DIR": str(CACHE / "zig-cache"),
        "CARGO_ZIGBUILD_CACHE_DIR": str(CACHE / "zig-cache"),
    }
    return inherited | compiler | fixed


def _steers_cargo(name: str) -> bool:
    """Whether a variable changes what cargo builds, and how."""
    return name.startswith(("CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_UNSTABLE_")) or name in {
        "CARGO_ENCODED_RUSTFLAGS", "RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTDOC", "RUSTFLAGS",
    }  # fmt: skip


@contextmanager
def _locked() -> Iterator[None]:
    """Keeps others away who want to fill the same cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _rustup() -> dict[str, str] | None:
    """The variables for a toolchain of rustup that has the source of the library; the default one is preferred."""
    if not shutil.which("rustup"):
        return None
    listed = _output(["rustup", "toolchain", "list"]).splitlines()
    for line in sorted(listed, key=lambda line: "active" not in line):
        toolchain = line.split()[0]
        compiler = ["rustup", "run", toolchain, "rustc"]
        sysroot, version = (_output([*compiler, *question]) for question in (["--print", "sysroot"], ["--version"]))
        source = Path(sysroot) / "lib/rustlib/src/rust/library/Cargo.lock"
        if source.is_file() and _numbers(version) >= OLDEST_RUST:
            say(f"compiler: rustup's {toolchain}, which has rust-src")
            return {"RUSTUP_TOOLCHAIN": toolchain}
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of `rustc 1.95.0 (…)`."""
    return tuple(int(number) for number in version.split()[1].split(".")[:2])


def _debian() -> dict[str, str]:
    """The variables for Debian's compiler, unpacked in the cache."""
    unpacked = CACHE / "rust"
    if not unpacked.is_dir():
        _fetch_debian(unpacked)
    say(f"compiler: Debian's, in {unpacked}")
    return {"PATH": str(unpacked / "bin"), "RUSTC": str(unpacked / "bin" / "rustc")}


def _fetch_debian(destination: Path) -> None:
    """Downloads Debian's compiler with all that it needs and the machine lacks, and unpacks what is of use here."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        stop(f"no compiler with rust-src is installed: build on Debian 12, {INSTEAD}")
    partial = _emptied(CACHE / "rust.partial")
    apt = _apt(partial / "apt")
    say(f"fetching Debian's compiler (150 MB) into {destination}: {', '.join(DEBIAN)}, and what they need")
    try:
        _run(["apt-get", *apt, "--quiet=2", "update"])
        needed = _output(["apt-get", *apt, "--quiet=2", "--print-uris", "--no-install-recommends", "install", *DEBIAN])
        # Lines `'URI' FILE SIZE HASH`.
        packages = sorted(line.split()[1].split("_")[0] for line in needed.splitlines() if line.startswith("'"))
        _run(["apt-get", *apt, "--quiet=2", "download", *packages], cwd=partial)
    except subprocess.CalledProcessError as error:
        stop(f"could not fetch Debian's packages {', '.join(DEBIAN)} (`{' '.join(error.cmd)}` failed): "
             f"look at /etc/apt/sources.list and the network, {INSTEAD}")  # fmt: skip
    for package in sorted(partial.glob("*.deb")):
        _unpack(package, partial)
        package.unlink()
    _wrap(partial, destination)
    shutil.rmtree(partial / "apt")
    partial.rename(destination)


def _apt(state: Path) -> list[str]:
    """Options that let apt work with a state of its own, for anybody: the machine's lists stay as they are."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True)
    # The compiler is needed here also when it is installed: without the source, it does not do.
    installed = Path("/var/lib/dpkg/status").read_text().split("\n\n")
    others = [package for package in installed if not re.search("^(Package|Source): rustc-web$", package, re.MULTILINE)]
    (state / "status").write_text("\n\n".join(others))
    return [
        "-o", f"Dir::State::Lists={state / 'lists'}",
        "-o", f"Dir::State::Status={state / 'status'}",
        "-o", f"Dir::Cache={state / 'cache'}",
        "-o", "Debug::NoLocking=1",
        "-o", "APT::Sandbox::User=",
    ]  # fmt: skip


def _unpack(package: Path, destination: Path) -> None:
    """Unpacks a package, but neither its documentation nor the source of the compiler."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
        _run(["tar", "--extract", "--directory", destination, "--no-wildcards-match-slash",
              "--exclude=./usr/share", "--exclude=./usr/src/*/compiler",
              "--exclude=./usr/src/*/src", "--exclude=./usr/src/*/debian"], stdin=archive.stdout)  # fmt: skip
    if archive.returncode:
        stop(f"{package} is damaged: run this again")


def _wrap(unpacked: Path, home: Path) -> None:
    """Makes programs that find their libraries in the cache."""
    folders = sorted(unpacked.glob("usr/lib/*-linux-gnu*"))
    libraries = ":".join(str(home / folder.relative_to(unpacked)) for folder in folders)
    (unpacked / "bin").mkdir()
    for program in ("cargo", "rustc", "rustdoc"):
        wrapper = unpacked / "bin" / program
        wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{home}/usr/bin/{program}" "$@"\n')
        wrapper.chmod(0o755)


def _zig() -> Path:
    """The folder with the linker's programs, fetched when it is missing."""
    folder = CACHE / "-".join(requirement.replace("==", "-") for requirement in ZIG)
    if not folder.is_dir():
        partial = _emptied(CACHE / "zig.partial")
        say(f"fetching from PyPI (110 MB) into {folder}: {', '.join(ZIG)}")
        try:
            _run([sys.executable, "-m", "venv", partial])
            _run([partial / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
                  "--only-binary=:all:", *ZIG])  # fmt: skip
        except subprocess.CalledProcessError as error:
            stop(f"could not fetch {', '.join(ZIG)} (`{' '.join(map(str, error.cmd))}` failed): Python's venv and pip "
                 "must be there (Debian: `apt-get install python3-venv`), and PyPI must be reached")  # fmt: skip
        partial.rename(folder)
    return folder / "bin"


def _emptied(folder: Path) -> Path:
    """An empty folder, also when an earlier run was interrupted in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _run(command: list[str | Path], **options: object) -> None:
    subprocess.run(command, check=True, **options)


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
