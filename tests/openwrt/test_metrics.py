"""The collector of OpenWrt's node exporter in Lua, with a replacement for the exporter. (There is no Debian package of ucode:
the other collector was tried in a real userland.)"""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from router import FILES

TEXT = 'failover_build_info{version="a\\\\b \\"c\\""} 1\n# TYPE failover_warnings gauge\n'
# How the exporter runs a collector: its `scrape` prints, and an error in it is a failure.
EXPORTER = """
local popen = io.popen
function io.popen(command)
  return popen((command:gsub("^/usr/sbin/failover ", os.getenv("PROGRAM") .. " ")))
end
%s
local collector = dofile(os.getenv("COLLECTOR"))
local done, why = pcall(collector.scrape)
if not done then io.stderr:write(why) os.exit(1) end
"""
# Since June 2025, and before.
WAYS = ("out = io.output()", "output = print")


class Lua(unittest.TestCase):
    def scrape(self, way: str, program: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory(prefix="failover-") as folder:
            script = Path(folder) / "failover"
            script.write_text(f'#!/bin/sh\n[ "$*" = metrics ] || exit 64\n{program}\n')
            script.chmod(0o755)
            environment = os.environ | {"PROGRAM": str(script), "COLLECTOR": str(FILES / "failover.lua")}
            command = ["lua5.1", "-e", EXPORTER % way]
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)

    def test_it_hands_the_metrics_on_as_they_are(self) -> None:
        for way in WAYS:
            done = self.scrape(way, f"cat <<'TEXT'\n{TEXT}TEXT")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, TEXT, ""), way)

    def test_without_a_daemon_it_fails(self) -> None:
        for way in WAYS:
            done = self.scrape(way, "echo 'no daemon is running' >&2; exit 69")
            self.assertEqual((done.returncode, done.stdout), (1, ""), way)
            self.assertIn("no failover daemon answers", done.stderr)


if __name__ == "__main__":
    unittest.main()
