"""The board files (`board/<name>.toml`), and the settings of their Rust targets in `cross.toml`."""

import fcntl
import lzma
import os
import shlex
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
# What is downloaded or can be made again. CI names a folder that outlives its clone.
CACHE = Path(os.environ.get("FAILOVER_CACHE") or ROOT / ".cache").expanduser().absolute()

# LLVM's options (22, of Rust 1.95 and 1.96) on each architecture besides `opt-level = "z"`, so that xz packs the program
# better. Memory is copied by calls, not by loads and stores. An expression is computed where it is used: computed earlier,
# its value takes a slot of the stack. Registers are given out in the order of the source, and blocks of code are neither
# doubled nor moved. Functions with large frames are not inlined into others. On MIPS, a call at a function's end is a jump,
# a jump's delay slot is filled from both sides instead of by a no-op (in xz this takes 1,300 bytes, in memory it saves
# 10,900), and a division has no trap for a divisor of 0: Rust has checked it before.
# Never add `-enable-tail-merge`: together with these it miscompiles on MIPS (a test hangs). Never disable `lcssa`: it makes
# the program much smaller because loops whose results are used are deleted.
_LLVM_FLAGS_OF_ALL = (
    "-max-store-memcpy=1",
    "-max-store-memmove=1",
    "-opt-disable=licm",
    "-enable-load-pre=false",
    "-disable-machine-licm",
    "-disable-lsr",
    "-regalloc=basic",
    "-inline-max-stacksize=4096",
    "-inline-memaccess-cost=5",
)
LLVM_FLAGS = {
    "MIPS": (
        *_LLVM_FLAGS_OF_ALL,
        "-disable-machine-cse",
        "-disable-machine-sink",
        "-mips-tail-calls",
        "-disable-mips-df-forward-search=false",
        "-disable-mips-df-succbb-search=false",
        "-mno-check-zero-division",
        "-pre-RA-sched=source",
        "-disable-tail-duplicate",
        "-disable-early-taildup",
        "-disable-block-placement",
        "-disable-postra-machine-sink",
        "-enable-shrink-wrap=false",
        "-join-splitedges",
        "-min-jump-table-entries=8",
    ),
    "AArch64": (*_LLVM_FLAGS_OF_ALL, "-enable-misched=false", "-enable-post-misched=false"),
    "ARM": _LLVM_FLAGS_OF_ALL,
    "x86-64": _LLVM_FLAGS_OF_ALL,
}


def say(message: str) -> None:
    """Prints a message, in order with the output of the programs that are called."""
    print(message, flush=True)


def stop(message: str) -> NoReturn:
    """Ends the script with an error: why, and what to do."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


@contextmanager
def cache_locked() -> Iterator[None]:
    """A lock: only one process fills the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Board:
    """A family of boards, as its file describes it."""

    name: str
    description: str
    target: str
    openwrt: str
    cpu_flags: tuple[str, ...]
    elf: str
    budget: dict[str, float]
    emulator: str

    @property
    def binary(self) -> Path:
        """Where `board/build` puts the program for this board."""
        return ROOT / "target" / "board" / self.name / "failover"

    def xz_bytes(self) -> int:
        """The program's size when xz packs it as well as it can: about what it takes in a router's flash."""
        return len(lzma.compress(self.binary.read_bytes(), preset=9 | lzma.PRESET_EXTREME))

    @property
    def flags(self) -> str:
        """The flags of rustc: the target's from `cross.toml`, those for the processor, and those for LLVM."""
        llvm = [f"-Cllvm-args={flag}" for flag in LLVM_FLAGS[self.elf.split()[-1]]]
        return " ".join([*settings(self.target)["RUSTFLAGS"].split(), *self.cpu_flags, *llvm])

    @property
    def flags_variable(self) -> str:
        """Cargo's variable for the flags of one target, so that one run can build several targets."""
        return f"CARGO_TARGET_{self.target.upper().replace('-', '_')}_RUSTFLAGS"


def load(name: str) -> Board:
    """Reads one board file."""
    with (ROOT / "board" / f"{name}.toml").open("rb") as file:
        entries = tomllib.load(file)
    return Board(
        name=name,
        description=entries["description"],
        target=entries["target"],
        openwrt=entries["openwrt"],
        cpu_flags=tuple(shlex.split(entries["cpu_flags"])),
        elf=entries["elf"],
        budget=entries["budget"],
        emulator=entries["qemu"]["user"],
    )


def names() -> list[str]:
    """The boards that there are."""
    return sorted(file.stem for file in (ROOT / "board").glob("*.toml"))


def select(wanted: list[str]) -> list[Board]:
    """The boards that are named on a command line; `all` stands for every one."""
    known = names()
    chosen = dict.fromkeys(known if "all" in wanted else wanted)
    for name in chosen:
        if name not in known:
            stop(f"there is no board '{name}': expected one of {', '.join(known)}, or all")
    return [load(name) for name in chosen]


def settings(target: str) -> dict[str, str]:
    """The variables that `cross.toml` sets for a target, as `cross` would pass them to its container."""
    with (ROOT / "cross.toml").open("rb") as file:
        config = tomllib.load(file)
    variables = {}
    for table in (config["build"], config.get("target", {}).get(target, {})):
        for definition in table.get("env", {}).get("passthrough", []):
            name, equals, value = definition.partition("=")
            if equals:
                variables[name] = value
    return variables
