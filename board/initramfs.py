"""Makes an initramfs: a `cpio` archive of the form that the kernel's Documentation/driver-api/early-userspace/
buffer-format.rst describes, compressed."""

import gzip
import lzma
import os
import stat
from pathlib import Path

from boards import stop


class Initramfs:
    """The archive as it grows. Folders are made as they are needed."""

    def __init__(self) -> None:
        self.archive = bytearray()
        self.known: set[str] = set()
        # The kernel opens it before /dev can be mounted.
        self.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """Adds one object, and the folders above it."""
        if name in self.known:
            return
        if parent := os.path.dirname(name):
            self.add(parent, stat.S_IFDIR | 0o755)
        self.known.add(name)
        self.write_entry(name, mode, data, device)

    def write_entry(self, name: str, mode: int, data: bytes, device: tuple[int, int]) -> None:
        """One header with its name and data, each padded to four bytes."""
        owner, links, time, of_device, checksum = (0, 0), 1, 0, (0, 0), 0
        inode = len(self.known)
        fields = (inode, mode, *owner, links, time, len(data), *of_device, *device, len(name) + 1, checksum)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        for part in (header + name.encode() + b"\0", data):
            self.archive += part
            self.archive += bytes(-len(self.archive) % 4)

    def add_file(self, name: str, path: Path) -> None:
        """A file or symbolic link of this machine."""
        if path.is_symlink():
            self.add(name, stat.S_IFLNK | 0o777, os.readlink(path).encode())
        else:
            self.add(name, stat.S_IFREG | stat.S_IMODE(path.stat().st_mode), path.read_bytes())

    def add_tree(self, folder: Path, below: str = "") -> None:
        """All files and symbolic links of a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or path.is_file():
                self.add_file(os.path.join(below, path.relative_to(folder)), path)

    def add_modules(self, kernel: Path, wanted: list[str]) -> None:
        """Kernel modules and what they depend on, as `modules/01-….ko`, in the order in which to insert them."""
        for number, path in enumerate(in_order(kernel, wanted)):
            self.add(f"modules/{number:02}-{plain_name(path)}.ko", stat.S_IFREG | 0o644, module(path))

    def write(self, path: Path) -> None:
        """Ends the archive, and writes it."""
        self.write_entry("TRAILER!!!", 0, b"", (0, 0))
        path.write_bytes(gzip.compress(self.archive, compresslevel=6, mtime=0))


def in_order(kernel: Path, wanted: list[str]) -> list[Path]:
    """The files of modules, each behind those that it depends on. (Debian's packages have no modules.dep.)"""
    files = {plain_name(path): path for path in kernel.rglob("*.ko*")}
    found: dict[str, Path] = {}

    def visit(name: str) -> None:
        if name in found:
            return
        if name not in files:
            stop(f"the kernel in {kernel} has no module '{name}', which the scenario needs")
        for other in depends(module(files[name])):
            visit(other)
        found[name] = files[name]

    for name in wanted:
        visit(name)
    return list(found.values())


def plain_name(path: Path) -> str:
    """`sch_netem` for …/sch-netem.ko.xz: the kernel takes `-` for `_`."""
    return path.name.split(".")[0].replace("-", "_")


def module(path: Path) -> bytes:
    """A module as the kernel takes it."""
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def depends(content: bytes) -> list[str]:
    """The modules that this one needs, from its section .modinfo, which has a line `depends=` in every module."""
    names = content.partition(b"\0depends=")[2].partition(b"\0")[0].decode()
    return [name.replace("-", "_") for name in names.split(",") if name]
