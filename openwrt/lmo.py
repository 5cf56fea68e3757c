"""LuCI's catalogues of translations (.lmo), as its po2lmo makes them of .po files: without contexts and plurals.

The translations follow each other, each padded to 4 bytes; then an index, sorted by key: key, number of plural, place and
length; then the place of the index. A key is the hash of the text to be translated. Numbers are big-endian. The translations
are in the order of the index, because so deflate packs them best.
"""

import ast
import re
import struct

# A message: its text, and its translation, each one or more strings of C.
MESSAGE = re.compile(r'^msgid ((?:".*"\n)+)msgstr ((?:".*"\n?)+)', re.MULTILINE)


def messages(po: str) -> dict[str, str]:
    """The translations by what they translate. The header translates the empty text."""
    joined = lambda strings: "".join(ast.literal_eval(line) for line in strings.splitlines())
    return {joined(text): joined(translation) for text, translation in MESSAGE.findall(po)}


def catalogue(po: str) -> bytes:
    content, index = b"", []
    for text, translation in sorted(messages(po).items(), key=lambda message: key(message[0])):
        if text and translation and text != translation:
            value = translation.encode()
            index.append((key(text), 1, len(content), len(value)))
            content += value + bytes(-len(value) % 4)
    entries = b"".join(struct.pack(">4I", *entry) for entry in index)
    return content + entries + struct.pack(">I", len(content))


def key(text: str) -> int:
    """Paul Hsieh's SuperFastHash of the text with single blanks, as `lmo_canon_hash` in LuCI's lmo.c has it."""
    data = " ".join(text.split()).encode()
    hashed, rest = len(data), len(data) & 3

    def half(at: int) -> int:
        return int.from_bytes(data[at : at + 2], "little")

    def signed(at: int) -> int:
        return data[at] - 256 if data[at] > 127 else data[at]

    def cut(number: int) -> int:
        return number & 0xFFFFFFFF

    end = len(data) - rest
    for at in range(0, end, 4):
        hashed = cut(hashed + half(at))
        hashed = cut(hashed << 16) ^ (half(at + 2) << 11 ^ hashed)
        hashed = cut(hashed)
        hashed = cut(hashed + (hashed >> 11))
    if rest == 3:
        hashed = cut(hashed + half(end))
        hashed ^= cut(hashed << 16)
        hashed ^= cut(signed(end + 2) << 18)
        hashed = cut(hashed + (hashed >> 11))
    elif rest == 2:
        hashed = cut(hashed + half(end))
        hashed ^= cut(hashed << 11)
        hashed = cut(hashed + (hashed >> 17))
    elif rest == 1:
        hashed = cut(hashed + signed(end))
        hashed ^= cut(hashed << 10)
        hashed = cut(hashed + (hashed >> 1))
    hashed ^= cut(hashed << 3)
    hashed = cut(hashed + (hashed >> 5))
    hashed ^= cut(hashed << 4)
    hashed = cut(hashed + (hashed >> 17))
    hashed ^= cut(hashed << 25)
    return cut(hashed + (hashed >> 6))
