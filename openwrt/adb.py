"""apk's format of packages and indexes (ADB, version 3): written and read, signed, compressed. Numbers are little-endian.

A file is `ADB.`, its schema, and blocks: one with a tree of values, its signatures, and the content of files. The blocks
are described in `doc/apk-v3.5.scd` of apk-tools. Version 3.0.6 of it verified, indexed, installed, upgraded and removed what
is made here; its `adbdump` prints the same of our package as of that by `apk mkpkg`, except the identity.
"""

import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

import deflate

# A value of the tree; an object and an array are a list, in which the first slot is number 1.
Value = None | int | bytes | list["Value"]

PACKAGE, INDEX = b"pckg", b"indx"
ADB, SIGNATURE, DATA = 0, 1, 2
# The tags of values, in their top 4 bits.
INTEGER, INTEGER_32, INTEGER_64, BLOB_8, BLOB_16, BLOB_32, ARRAY, OBJECT = 1, 2, 3, 8, 9, 0xA, 0xD, 0xE
SHORT = struct.Struct("<H")
WORD = struct.Struct("<I")
LONG = struct.Struct("<Q")
# What follows in a signature: version 0, and SHA-512.
SIGNED_BY = bytes([0, 4])
# The public key of a pair on the curve P-256, as openssl writes it, ends with a point of 65 bytes.
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class Tree:
    """The values as they are written: each after its parts; equal values once."""

    def __init__(self) -> None:
        self.payload = bytearray(8)
        self.known: dict[bytes, int] = {}

    def add(self, value: Value) -> int:
        """Writes a value, and returns the word that stands for it."""
        if not value and not isinstance(value, int):
            return 0
        if isinstance(value, int):
            if value < 1 << 28:
                return INTEGER << 28 | value
            tag, form = (INTEGER_32, WORD) if value < 1 << 32 else (INTEGER_64, LONG)
            return self.place(tag, 4, form.pack(value))
        if isinstance(value, bytes):
            return self.blob(value)
        words = [self.add(part) for part in value]
        while words and not words[-1]:
            words.pop()
        return self.place(OBJECT, 4, struct.pack(f"<{len(words) + 1}I", len(words) + 1, *words)) if words else 0

    def blob(self, content: bytes) -> int:
        if len(content) < 1 << 8:
            return self.place(BLOB_8, 1, bytes([len(content)]) + content)
        if len(content) < 1 << 16:
            return self.place(BLOB_16, 2, SHORT.pack(len(content)) + content)
        return self.place(BLOB_32, 4, WORD.pack(len(content)) + content)

    def place(self, tag: int, alignment: int, content: bytes) -> int:
        key = bytes([tag]) + content
        if key not in self.known:
            self.payload += bytes(-len(self.payload) % alignment)
            self.known[key] = tag << 28 | len(self.payload)
            self.payload += content
        return self.known[key]


def encoded(root: Value) -> bytes:
    """The content of the block ADB."""
    tree = Tree()
    word = tree.add(root)
    tree.payload[4:8] = WORD.pack(word)
    return bytes(tree.payload)


def decoded(payload: bytes, word: int | None = None) -> Value:
    """The tree of a block ADB, or the value that a word stands for."""
    if word is None:
        (word,) = WORD.unpack_from(payload, 4)
    tag, number = word >> 28, word & 0xFFF_FFFF
    if word == 0:
        return None
    if tag == INTEGER:
        return number
    if tag in (INTEGER_32, INTEGER_64):
        return (WORD if tag == INTEGER_32 else LONG).unpack_from(payload, number)[0]
    if tag in (BLOB_8, BLOB_16, BLOB_32):
        size = {BLOB_8: struct.Struct("<B"), BLOB_16: SHORT, BLOB_32: WORD}[tag]
        start = number + size.size
        return payload[start : start + size.unpack_from(payload, number)[0]]
    if tag in (ARRAY, OBJECT):
        (count,) = WORD.unpack_from(payload, number)
        return [decoded(payload, part) for part in struct.unpack_from(f"<{count - 1}I", payload, number + 4)]
    raise ValueError(f"a value of the unknown type {tag}")


def block(kind: int, content: bytes) -> bytes:
    return WORD.pack(kind << 30 | 4 + len(content)) + content + bytes(-(4 + len(content)) % 8)


def file(schema: bytes, payload: bytes, data: list[bytes], key: Path | None) -> bytes:
    """A whole file: with the content of the package's files, and signed if there is a key."""
    signatures = [block(SIGNATURE, signature(schema, payload, key))] if key else []
    blocks = [block(ADB, payload), *signatures, *(block(DATA, part) for part in data)]
    return b"ADBd" + deflate.raw(b"ADB." + schema + b"".join(blocks))


def payload_of(package: bytes) -> bytes:
    """The content of the block ADB of a file, as written here or by `apk mkpkg`."""
    if package[:4] != b"ADBd":
        raise ValueError("it is no package of apk, or not compressed by deflate")
    plain = zlib.decompress(package[4:], -15)
    (word,) = WORD.unpack_from(plain, 8)
    return plain[12 : 8 + word]


def signature(schema: bytes, payload: bytes, key: Path) -> bytes:
    """The content of a block SIG: ECDSA with SHA-512, by openssl."""
    head = SIGNED_BY + key_id(public_key(key, "DER"))
    return head + openssl("dgst", "-sha512", "-sign", key, given=schema + head + hashlib.sha512(payload).digest())


def key_id(public: bytes) -> bytes:
    """Tells which of the router's keys is meant."""
    if not public.startswith(P256):
        raise ValueError("no key on the curve P-256")
    return hashlib.sha512(public[len(P256) :]).digest()[:16]


def public_key(key: Path, form: str) -> bytes:
    return openssl("pkey", "-in", key, "-pubout", "-outform", form)


def openssl(*arguments: object, given: bytes = b"") -> bytes:
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip())
    return done.stdout
