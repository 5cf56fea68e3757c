"""Deflate, packed by zopfli, which takes more time than zlib for a smaller result that every inflate reads.

zopfli is fetched from PyPI into the cache at first. Where that fails, zlib packs.
"""

import functools
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "board"))
import pypi
from boards import cache_locked, say

ZOPFLI = "zopfli==0.4.3"
# More of them save a hundredth of a per cent, and double the time.
ITERATIONS = 5


def raw(content: bytes) -> bytes:
    """The stream alone: without the header and the checksum of zlib."""
    return _packer()(content)[2:-4]


@functools.cache
def _packer() -> Callable[[bytes], bytes]:
    """Makes a stream of zlib."""
    try:
        with cache_locked():
            folder = pypi.fetched(ZOPFLI)
        sys.path += map(str, folder.glob("lib/python*/site-packages"))
        from zopfli.zopfli import compress
    except (OSError, ImportError, pypi.Unreachable) as error:
        say(f"packing with zlib, 4 % larger than with {ZOPFLI}: {str(error).splitlines()[0]}")
        return functools.partial(zlib.compress, level=9)
    return functools.partial(compress, numiterations=ITERATIONS)
