"""Reads from an ELF file whether a router can run it: its processor, and that it needs no shared library."""

import struct
from dataclasses import dataclass
from pathlib import Path

# elf.h: ELFCLASS64
WIDE = 2
# elf.h: EM_*
MACHINES = {8: "MIPS", 40: "ARM", 62: "x86-64", 183: "AArch64"}
# elf.h: PT_*
INTERPRETER, DYNAMIC = 3, 2
# elf.h: SHT_SYMTAB
SYMBOLS = 2


@dataclass(frozen=True)
class Elf:
    """The headers of an executable."""

    kind: str  # as in the board files: "32-bit big-endian MIPS"
    segments: frozenset[int]
    sections: frozenset[int]


def read(file: Path) -> Elf:
    """The headers of `file`. Raises ValueError when it is no ELF file."""
    image = file.read_bytes()
    if image[:4] != b"\x7fELF" or image[4] not in (1, 2) or image[5] not in (1, 2):
        raise ValueError(f"{file} is no ELF file")
    # EI_CLASS, EI_DATA
    wide, order = image[4] == WIDE, "<>"[image[5] - 1]
    # Elf32_Ehdr, Elf64_Ehdr: from e_machine on.
    header = struct.unpack_from(order + ("HIQQQIHHHHHH" if wide else "HIIIIIHHHHHH"), image, 18)
    machine, segment_table, section_table = header[0], header[3], header[4]
    segment_size, segment_count, section_size, section_count = header[7:11]

    bits = "64-bit" if wide else "32-bit"
    ends = "little-endian" if order == "<" else "big-endian"

    def word(offset: int) -> int:
        return struct.unpack_from(order + "I", image, offset)[0]

    return Elf(
        kind=" ".join((bits, ends, MACHINES.get(machine, f"machine {machine}"))),
        # p_type is the first word of a segment's header, sh_type the second one of a section's.
        segments=frozenset(word(segment_table + i * segment_size) for i in range(segment_count)),
        sections=frozenset(word(section_table + i * section_size + 4) for i in range(section_count)),
    )


def problems(file: Path, kind: str) -> list[str]:
    """The problems of a program that must be static, stripped and for `kind`."""
    try:
        elf = read(file)
    except (ValueError, struct.error) as error:
        return [str(error)]
    found = []
    if elf.kind != kind:
        found.append(f"it is for {elf.kind}, not for {kind}")
    if INTERPRETER in elf.segments:
        found.append("it needs a dynamic linker (it has a program interpreter)")
    if DYNAMIC in elf.segments:
        found.append("it is not static (it has a dynamic section)")
    if SYMBOLS in elf.sections:
        found.append("it is not stripped (it has a symbol table)")
    return found
