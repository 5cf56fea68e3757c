"""Feeds of apk: the index `packages.adb`, signed or not. A router trusts it by a key in /etc/apk/keys."""

import hashlib
import struct
import zlib
from pathlib import Path

import adb


def make(folder: Path, key: Path | None) -> None:
    """Writes the index of every .apk in the folder."""
    entries = sorted(entry(package) for package in folder.glob("*.apk"))
    path = folder / "packages.adb"
    path.write_bytes(adb.file(adb.INDEX, adb.encoded([None, [info for _, _, info in entries]]), [], key))
    print(f"{path}: {len(entries)} package{'s' if len(entries) > 1 else ''}", flush=True)


def entry(package: Path) -> tuple[bytes, bytes, list[adb.Value]]:
    """A package's name, version, and description, with the hash of its block ADB and its size (slots 3 and 13)."""
    content = package.read_bytes()
    try:
        payload = adb.payload_of(content)
        info = adb.decoded(payload)[0]
    except (ValueError, zlib.error, struct.error) as error:
        raise ValueError(f"cannot read {package}: {error}") from error
    info += [None] * (13 - len(info))
    info[2], info[12] = hashlib.sha256(payload).digest(), len(content)
    return info[0], info[1], info


def public_key(key: Path) -> bytes:
    return adb.public_key(key, "PEM")
