"""The virtual machine of a board: QEMU's command line, its life, and what its console says."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boards import say, stop

# Debian's packages of QEMU.
PACKAGES = {
    "qemu-system-mips": "qemu-system-mips",
    "qemu-system-mipsel": "qemu-system-mips",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
}

# An instruction takes 2^3 = 8 ns: 125 million a second, as a slow router. (MIPS takes no less: its timer counts each 6 ns,
# and the kernel does without it when it stands still between two instructions.)
COUNT_SHIFT = 3
INSTRUCTION_NS = 1 << COUNT_SHIFT
# QEMU's timer of a MIPS processor does not move on when idle time is skipped: there the kernel idles by looking for work.
IDLE = {"qemu-system-mips": "nowait", "qemu-system-mipsel": "nowait"}


@dataclass(frozen=True)
class Machine:
    """A board file's section [boot]."""

    system: str
    machine: str
    cpu: str
    memory_mb: int
    kernel_package: str
    architecture: str
    console: str

    @property
    def processor(self) -> str:
        """QEMU's words for the processor."""
        return f"-accel tcg -cpu {self.cpu}"

    def shell(self, kernel: Path, initramfs: Path) -> list[str | Path]:
        """QEMU's command line for a person, whose time passes as ours does. What is still to say is where the console
        leads."""
        return [*self.command(kernel, initramfs, "failover.shell"), *self.processor.split()]

    def counted(self, kernel: Path, initramfs: Path) -> list[str | Path]:
        """QEMU's command line for a machine whose clocks count its instructions. What happens there, and when, is the
        same however fast or busy this computer is; and an idle second is over at once."""
        clock = ["-icount", f"shift={COUNT_SHIFT},sleep=off", "-rtc", "clock=vm"]
        return [*self.command(kernel, initramfs, IDLE.get(self.system, "")), *self.processor.split(), *clock]

    def command(self, kernel: Path, initramfs: Path, words: str) -> list[str | Path]:
        """What every command line has; `words` are for the kernel's."""
        command = [self.system, "-M", self.machine, "-m", str(self.memory_mb)]
        command += ["-kernel", kernel, "-initrd", initramfs]
        command += ["-append", f"console={self.console} quiet loglevel=2 panic=-1 {words}".strip()]
        command += ["-nodefaults", "-display", "none", "-no-reboot"]
        return command

    def install_emulator(self) -> None:
        """Makes sure that QEMU is there: root installs it, others are told what to install."""
        package = PACKAGES.get(self.system, self.system)
        if shutil.which(self.system):
            return
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            stop(f"there is no {self.system}: install Debian's package {package}")
        say(f"installing {package}")
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "-oDPkg::Lock::Timeout=300", package]
        for command in (["apt-get", "update", "-qq"], install):
            environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                stop(f"`{' '.join(command)}` failed:\n{result.stderr.strip()}")


@contextmanager
def running(command: list[str | Path], seconds: int = 0, **pipes: int) -> Iterator[subprocess.Popen]:
    """QEMU, for the length of a `with` block, or until it has had so many seconds of a processor. It ends with us, even
    when we are killed."""
    mortal = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    process = subprocess.Popen([*mortal, *command], **pipes)
    if seconds:
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (seconds, seconds))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
