"""The fixture: a root file system with BusyBox and the replacements in `root/`, in which the feed's scripts run."""

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
# The real program, for tests that need it.
PROGRAM = Path(os.environ.get("FAILOVER_PROGRAM") or ROOT / "target" / "debug" / "failover")
# What the service tells procd at a start.
INSTANCE = [
    "procd_open_instance",
    "procd_set_param [command] [/etc/init.d/failover] [launch]",
    "procd_set_param [stdout] [1]",
    "procd_set_param [stderr] [1]",
    "procd_set_param [respawn] [3600] [5] [0]",
    "procd_set_param [file] [/usr/sbin/failover]",
    "procd_set_param [reload_signal] [KILL]",
    "procd_close_instance",
]
TRIGGERS = ["procd_add_reload_trigger [failover] [network]", "procd_close_service"]
# Timeout of a script, in seconds.
PATIENCE = 20
# Runs COMMAND in the root file system ROOT; without root privileges, in a user namespace.
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--user", "--map-root-user"]
CHROOT = [*UNSHARE, "sh", "-c", 'mount --bind /dev/null "$1/dev/null" && exec chroot "$@"', "sh"]
# The same, with the processes of this machine in /proc.
CHROOT_PROC = [*UNSHARE, "sh", "-c", CHROOT[-2].replace("&&", '&& mount --rbind /proc "$1/proc" &&'), "sh"]


def installed() -> list[tuple[str, str, int]]:
    """The files of the package except the program: file of the feed, path, mode."""
    modes = {"BIN": 0o755, "DATA": 0o644, "CONF": 0o600}
    pattern = re.compile(r"\$\(INSTALL_(BIN|DATA|CONF)\) \./files/(\S+) \$\(1\)/(\S+)")
    found = pattern.findall((FEED / "failover" / "Makefile").read_text())
    return [(file, path, modes[kind]) for kind, file, path in found]


class RouterTest(unittest.TestCase):
    """A test with a router; the package's files are installed if `package` is true."""

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

    def run_there(
        self, *command: str, input: str = "", processes: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program of the router with only the given environment."""
        process = subprocess.Popen(
            [*(CHROOT_PROC if processes else CHROOT), self.root, *command],
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
        """Runs /etc/init.d/failover by rc.common, as its first line says."""
        return self.run_there("/etc/init.d/failover", *arguments)

    def program(self, command: str, script: str) -> None:
        """Sets what the replacement for the program does for a command."""
        self.write(f"tmp/program/{command}", script)

    def calls(self) -> list[str]:
        """The calls recorded since the last time, one line per call, arguments in brackets."""
        file = self.root / "tmp/calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def logged(self) -> list[str]:
        """The log since the last time."""
        lines = []
        while True:
            try:
                lines.append(self._syslog.recv(8192).decode().rstrip("\0\n"))
            except BlockingIOError:
                return lines
