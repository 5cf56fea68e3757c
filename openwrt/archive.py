"""Reproducible archives: all files belong to root and have the same time."""

import io
import os
import struct
import tarfile
import zlib
from pathlib import PurePosixPath

import deflate

# Its header: deflate, no flags, no time, compressed as well as it could be, of no known system.
GZIP = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
# The time of every file: SOURCE_DATE_EPOCH, if it is set.
TIME = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))

# Path -> mode and content; a directory has no content.
Files = dict[str, tuple[int, bytes | None]]


def with_folders(files: Files) -> Files:
    """The files and all their parent directories, sorted by name."""
    folders = {str(folder): (0o755, None) for path in files for folder in PurePosixPath(path).parents}
    return dict(sorted((folders | files).items()))


def tar(files: Files) -> bytes:
    """A tar archive of the files, in their order."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, (mode, content) in files.items():
            info = tarfile.TarInfo("./" if path == "." else f"./{path}")
            info.mode, info.mtime, info.uname, info.gname = mode, TIME, "root", "root"
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return result.getvalue()


def gzipped(content: bytes) -> bytes:
    """Compresses with gzip, without time and name."""
    return GZIP + deflate.raw(content) + struct.pack("<2I", zlib.crc32(content), len(content))
