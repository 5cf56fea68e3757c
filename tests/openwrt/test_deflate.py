"""How packages are packed: by zopfli, and by zlib where that cannot be had."""

import os
import shutil
import subprocess
import sys
import unittest
import zlib

import apkfile
from router import FEED
from test_apk import APK
from test_package import IPK, PROGRAM, PackageTest, contents

sys.path.append(str(FEED))
import deflate
import pypi
from boards import cache_locked

# A program that each of these tests needs.
REAL = "busybox"
# So much of it: zopfli takes its time.
SIZE = 300_000


class Zopfli(unittest.TestCase):
    def test_it_packs_a_program_better_than_zlib(self) -> None:
        try:
            with cache_locked():
                pypi.fetched(deflate.ZOPFLI)
        except pypi.Unreachable as error:
            self.skipTest(str(error))
        with open(shutil.which(REAL), "rb") as file:
            program = file.read(SIZE)
        packed = deflate.raw(program)
        self.assertEqual(zlib.decompress(packed, -15), program)
        self.assertLess(len(packed), 0.98 * len(zlib.compress(program, 9)))


class WithoutZopfli(PackageTest):
    def pack(self, tool: str) -> str:
        # Nothing listens there.
        empty = {"FAILOVER_CACHE": str(self.tree / "cache"), "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0"}
        command = [self.tree / "openwrt" / tool, "mt7621"]
        done = subprocess.run(command, env=os.environ | empty, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_zlib_packs_and_it_is_said_in_a_line(self) -> None:
        for tool in ("mkipk", "mkapk"):
            fetching, packing, *results = self.pack(tool).splitlines()
            self.assertIn("fetching from PyPI", fetching)
            self.assertIn("packing with zlib", packing)
            self.assertIn("could not fetch zopfli", packing)
            self.assertEqual(len(results), 2)
        self.assertIn((0o755, PROGRAM), contents(self.taken_apart(IPK)[0]).values())
        apk = (self.results / "apk/mipsel_24kc" / APK).read_bytes()
        self.assertIn((0o755, PROGRAM), apkfile.read(apk).files.values())
        plain = zlib.decompress(apk[4:], -15)
        self.assertEqual(apk[4:], zlib.compress(plain, 9)[2:-4])


if __name__ == "__main__":
    unittest.main()
