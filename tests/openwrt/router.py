"""A router to test on: a root of its own with BusyBox and the stand-ins of `root/`, in which the feed's scripts run."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FEED = ROOT / "openwrt"
FILES = FEED / "failover" / "files"
# The real program, for what is to be true of it.
PROGRAM = Path(os.environ.get("FAILOVER_PROGRAM") or ROOT / "target" / "debug" / "failover")
# The longest that a script may take, in seconds.
PATIENCE = 20
# Changes the root, by ROOT COMMAND...; those who are not root become it for themselves.
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--user", "--map-root-user"]
CHROOT = [*UNSHARE, "sh", "-c", 'mount --bind /dev/null "$1/dev/null" && exec chroot "$@"', "sh"]


def installed() -> list[tuple[str, str, int]]:
    """What the package installs, but for the program: file of the feed, where it goes, its mode."""
    modes = {"BIN": 0o755, "DATA": 0o644, "CONF": 0o600}
    pattern = re.compile(r"\$\(INSTALL_(BIN|DATA|CONF)\) \./files/(\S+) \$\(1\)/(\S+)")
    found = pattern.findall((FEED / "failover" / "Makefile").read_text())
    return [(file, path, modes[kind]) for kind, file, path in found]


class RouterTest(unittest.TestCase):
    """A test with a router, where the package's files are installed unless `package` is not wanted."""

    package = True

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="failover-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self._base_system()
        if self.package:
            for file, path, mode in installed():
                self.write(path, (FILES / file).read_text(), mode)
        self._log()

    def _base_system(self) -> None:
        for base in filter(None, (HERE / "root", os.environ.get("OPENWRT_ROOT"))):
            shutil.copytree(base, self.root, symlinks=True, dirs_exist_ok=True)
        for folder in ("dev", "proc", "tmp/program", "etc/config", "etc/init.d", "etc/rc.d", "var/run"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "dev/null").touch()
        busybox = shutil.which("busybox")
        self.assertIsNotNone(busybox, "tests/openwrt/run installs busybox-static")
        shutil.copy(busybox, self.root / "bin/busybox")
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in {"ash", "sh", *applets}:
            path = self.root / "bin" / applet
            if not path.exists():
                path.symlink_to("busybox")

    def _log(self) -> None:
        self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(self._syslog.close)
        self._syslog.bind(str(self.root / "dev/log"))

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def run_there(self, *command: str, input: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of the router, by itself and with nothing in its environment but what is given."""
        process = subprocess.Popen(
            [*CHROOT, self.root, *command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(input, PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
            raise
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    def service(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """/etc/init.d/failover, whose first line runs it by rc.common."""
        return self.run_there("/etc/init.d/failover", *arguments)

    def program(self, command: str, script: str) -> None:
        """What the stand-in for the program does for a command."""
        self.write(f"tmp/program/{command}", script)

    def calls(self) -> list[str]:
        """What has been recorded since the last time, a line for each call, arguments in brackets."""
        file = self.root / "tmp/calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def logged(self) -> list[str]:
        """What has been logged since the last time."""
        lines = []
        while True:
            try:
                lines.append(self._syslog.recv(8192).decode().rstrip("\0\n"))
            except BlockingIOError:
                return lines
