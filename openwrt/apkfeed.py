"""Feeds of apk: the index `packages.adb`, signed or not. A router trusts it by a key in /etc/apk/keys."""

import hashlib
from pathlib import Path

import adb


def make(folder: Path, key: Path | None) -> None:
    """Writes the index of every .apk in the folder."""
    entries = sorted(entry(package.read_bytes()) for package in folder.glob("*.apk"))
    path = folder / "packages.adb"
    path.write_bytes(adb.file(adb.INDEX, adb.encoded([None, [info for _, _, info in entries]]), [], key))
    print(f"{path}: {len(entries)} package{'s' if len(entries) > 1 else ''}", flush=True)


def entry(package: bytes) -> tuple[bytes, bytes, list[adb.Value]]:
    """A package's name, version, and description, with the hash of its block ADB and its size (slots 3 and 13)."""
    payload = adb.payload_of(package)
    info = adb.decoded(payload)[0]
    info += [None] * (13 - len(info))
    info[2], info[12] = hashlib.sha256(payload).digest(), len(package)
    return info[0], info[1], info


def public_key(key: Path) -> bytes:
    return adb.public_key(key, "PEM")
