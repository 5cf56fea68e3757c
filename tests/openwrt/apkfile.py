"""A reader of apk's packages and indexes (ADB, version 3) that refuses whatever is not exactly as it must be.

It shares nothing with `openwrt/adb.py`, which writes them.
"""

import hashlib
import struct
import subprocess
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

INFO = (
    *("name", "version", "hashes", "description", "arch", "license", "origin", "maintainer", "url", "repo-commit"),
    *("build-time", "installed-size", "file-size", "provider-priority", "depends", "provides", "replaces", "install-if"),
    *("recommends", "layer", "tags"),
)
SCRIPTS = ("trigger", "pre-install", "post-install", "pre-deinstall", "post-deinstall", "pre-upgrade", "post-upgrade")


class Damaged(Exception):
    pass


def demand(condition: object, fault: str) -> None:
    if not condition:
        raise Damaged(fault)


@dataclass
class Contents:
    """What a file says: of an index, only the packages."""

    info: dict[str, object] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    folders: dict[str, tuple] = field(default_factory=dict)
    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    packages: list[dict[str, object]] = field(default_factory=list)
    payload: bytes = b""
    signatures: int = 0


class Values:
    """The tree in the block ADB."""

    def __init__(self, payload: bytes) -> None:
        demand(len(payload) >= 8 and payload[:4] == bytes(4), "the header of the tree")
        self.payload = payload
        self.root = self.words(self.u32(4), len(payload))

    def u32(self, at: int) -> int:
        demand(at % 4 == 0 and at + 4 <= len(self.payload), "a word outside of the tree")
        return struct.unpack_from("<I", self.payload, at)[0]

    def words(self, word: int, limit: int) -> list[tuple[int, int]]:
        """The slots of an object, each with the place of the object: its parts were written before it."""
        if word == 0:
            return []
        tag, at = word >> 28, word & 0xFFFFFFF
        demand(tag in (0xD, 0xE) and 8 <= at < limit, "an object")
        count = self.u32(at)
        demand(1 < count <= 1000, "the length of an object")
        words = [(self.u32(at + 4 * slot), at) for slot in range(1, count)]
        demand(words[-1][0], "an empty slot at the end of an object")
        return words

    def objects(self, slot: tuple[int, int]) -> list[list[tuple[int, int]]]:
        return [self.words(*part) for part in self.words(*slot)]

    def number(self, slot: tuple[int, int]) -> int:
        demand(slot[0] >> 28 == 1, "a number")
        return slot[0] & 0xFFFFFFF

    def blob(self, slot: tuple[int, int]) -> bytes:
        return self.payload[slice(*self.place(slot))]

    def place(self, slot: tuple[int, int]) -> tuple[int, int]:
        """Where a blob begins and ends."""
        word, limit = slot
        tag, at = word >> 28, word & 0xFFFFFFF
        if word == 0:
            return 0, 0
        form = {8: "<B", 9: "<H", 0xA: "<I"}.get(tag)
        demand(form and at >= 8, "a blob")
        size = struct.calcsize(form)
        demand(at % size == 0 and at + size <= limit, "the place of a blob")
        start, length = at + size, struct.unpack_from(form, self.payload, at)[0]
        demand(length and start + length <= limit, "the length of a blob")
        return start, start + length


def slot(words: list[tuple[int, int]], number: int) -> tuple[int, int]:
    return words[number - 1] if number <= len(words) else (0, 0)


def read(content: bytes, key: Path | None = None) -> Contents:
    """Reads a package or an index; with a public key, it must have its signature."""
    plain = unpacked(content)
    schema = plain[4:8]
    demand(plain[:4] == b"ADB." and schema in (b"pckg", b"indx"), "the head of the file")
    parts = blocks(plain)
    kinds = [kind for kind, _ in parts]
    demand(kinds and kinds.count(0) == 1 and kinds == sorted(kinds), "the order of the blocks")
    payload = parts[0][1]
    signatures = [part for kind, part in parts if kind == 1]
    if schema == b"pckg":
        result = package(payload, [part for kind, part in parts if kind == 2])
    else:
        demand(2 not in kinds, "content in an index")
        result = index(payload)
    if key:
        demand(signatures, "there is no signature")
        for part in signatures:
            verify(schema, payload, part, key)
    result.payload, result.signatures = payload, len(signatures)
    return result


def unpacked(content: bytes) -> bytes:
    if content[:4] != b"ADBd":
        return content
    stream = zlib.decompressobj(-15)
    try:
        plain = stream.decompress(content[4:])
    except zlib.error as error:
        raise Damaged("the compression") from error
    demand(stream.eof and not stream.unused_data, "the end of the compression")
    return plain


def blocks(plain: bytes) -> list[tuple[int, bytes]]:
    result, at = [], 8
    while at < len(plain):
        demand(at + 4 <= len(plain), "the head of a block")
        word = struct.unpack_from("<I", plain, at)[0]
        kind, size = word >> 30, word & 0x3FFFFFFF
        end = at + size
        following = end + -size % 8
        demand(kind < 3 and size > 4 and following <= len(plain), "the size of a block")
        demand(not any(plain[end:following]), "what fills a block")
        result.append((kind, plain[at + 4 : end]))
        at = following
    return result


def package(payload: bytes, data: list[bytes]) -> Contents:
    values = Values(payload)
    words = values.words(*slot(values.root, 1))
    start, end = values.place(slot(words, 3))
    demand(end - start == 20, "the length of the identity")
    unnamed = payload[:start] + bytes(20) + payload[end:]
    demand(hashlib.sha256(unnamed).digest()[:20] == payload[start:end], "the identity")
    result = Contents(info=information(values, words))
    scripts = values.words(*slot(values.root, 3))
    result.scripts = {name: values.blob(one).decode() for name, one in zip(SCRIPTS, scripts) if one[0]}
    blocks_left = iter(data)
    for folder, entry in enumerate(values.objects(slot(values.root, 2)), 1):
        name = values.blob(slot(entry, 1)).decode()
        result.folders[name] = acl(values, slot(entry, 2))
        names = []
        for number, one in enumerate(values.objects(slot(entry, 3)), 1):
            names.append(values.blob(slot(one, 1)).decode())
            demand(not slot(one, 6)[0], "a link")
            size = values.number(slot(one, 3))
            block = next(blocks_left, b"") if size else struct.pack("<II", folder, number)
            demand(block[:8] == struct.pack("<II", folder, number), "the order of the content")
            demand(len(block) == 8 + size, "the size of a file")
            demand(hashlib.sha256(block[8:]).digest() == values.blob(slot(one, 5)), "the hash of a file")
            mode, *owner = acl(values, slot(one, 2))
            demand(owner == ["root", "root"], "the owner of a file")
            result.files[f"{name}/{names[-1]}".lstrip("/")] = (mode, block[8:])
        demand(names == sorted(set(names), key=str.encode), "the order of files")
    demand(next(blocks_left, None) is None, "content of no file")
    demand(list(result.folders) == sorted(result.folders, key=str.encode), "the order of folders")
    return result


def index(payload: bytes) -> Contents:
    values = Values(payload)
    result = Contents(packages=[information(values, words) for words in values.objects(slot(values.root, 2))])
    order = [(one["name"], one["version"]) for one in result.packages]
    demand(order == sorted(set(order)), "the order of packages")
    for one in result.packages:
        demand(len(one["hashes"]) == 32 and one["file-size"], "the identity in an index")
    return result


def acl(values: Values, place: tuple[int, int]) -> tuple[int, str, str]:
    words = values.words(*place)
    return values.number(slot(words, 1)), values.blob(slot(words, 2)).decode(), values.blob(slot(words, 3)).decode()


def information(values: Values, words: list[tuple[int, int]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for name, one in zip(INFO, words):
        if not one[0]:
            continue
        if name == "depends":
            result[name] = [values.blob(slot(dependency, 1)).decode() for dependency in values.objects(one)]
            demand(result[name] == sorted(set(result[name])), "the order of dependencies")
        elif one[0] >> 28 == 1:
            result[name] = values.number(one)
        else:
            result[name] = values.blob(one) if name == "hashes" else values.blob(one).decode()
    demand({"name", "version", "hashes", "arch", "installed-size"} <= set(result), "what a package must say")
    return result


def verify(schema: bytes, payload: bytes, part: bytes, key: Path) -> None:
    command = ["openssl", "pkey", "-pubin", "-in", key, "-outform", "DER"]
    point = subprocess.run(command, capture_output=True, check=True).stdout[-65:]
    demand(len(part) > 20 and part[:18] == bytes([0, 4]) + hashlib.sha512(point).digest()[:16], "the key of the signature")
    # openssl reads as many bytes as a signature can have, and ignores what follows.
    demand(len(part) == 20 + part[19], "the length of the signature")
    with tempfile.NamedTemporaryFile() as file:
        file.write(part[18:])
        file.flush()
        done = subprocess.run(
            ["openssl", "dgst", "-sha512", "-verify", key, "-signature", file.name],
            input=schema + part[:18] + hashlib.sha512(payload).digest(),
            capture_output=True,
        )
    demand(done.returncode == 0, "the signature")
