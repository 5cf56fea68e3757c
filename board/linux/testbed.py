"""What the package is installed on: Debian roots of their own, with systemd as process 1 or without, on a router with
two providers. All of it is in namespaces that end with the test; the machine below notices nothing."""

import atexit
import hashlib
import os
import platform
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# What is downloaded or can be made again. CI names a folder that outlives its clone.
CACHE = Path(os.environ.get("FAILOVER_CACHE") or ROOT / ".cache").expanduser().absolute()
# Where everything is mounted, in a mount namespace of ours.
PLACE = Path("/mnt")
INSIDE = "FAILOVER_TESTBED"

# What the machines have besides what every Debian has.
PACKAGES = "systemd-sysv,iproute2,iputils-ping,man-db"

# Both providers reach both targets.
TARGETS = ("203.0.113.8", "2001:db8:53::8")
PROVIDERS = {
    "isp1": ("eth1", "192.0.2.10/24", "192.0.2.1", "2001:db8:1::10/64", "2001:db8:1::1"),
    "isp2": ("eth2", "198.51.100.10/24", "198.51.100.1", "2001:db8:2::10/64", "2001:db8:2::1"),
}


def run(*command: str | Path, ok: bool = True, **options) -> str:
    """What a command prints. One that fails, and is not allowed to, ends the test with what it says."""
    done = subprocess.run(command, text=True, capture_output=True, **options)
    if ok and done.returncode != 0:
        line = " ".join(map(str, command))
        raise AssertionError(f"{line}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + ("" if ok else done.stderr)


def wait_for(what: str, check: Callable[[], object], seconds: float = 120) -> None:
    """Returns as soon as something is true. After so many seconds it fails: they are for what never becomes true."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"still not after {seconds} s: {what}"
        time.sleep(0.02)


def enter_namespaces() -> None:
    """Starts the script again, where its mounts, devices and processes are its own and end with it."""
    if INSIDE not in os.environ:
        debian()  # from here on, there is no network
        own = ["--mount", "--propagation=private", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", *own, sys.executable, "-B", *sys.argv])
    # Process 1 of a namespace dies of no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run("mount", "-t", "tmpfs", "tmpfs", PLACE)
    (PLACE / "cgroup").mkdir()
    run("mount", "-t", "cgroup2", "cgroup2", PLACE / "cgroup")
    run("mount", "--mkdir", "-t", "tmpfs", "tmpfs", "/run/netns")


def debian() -> Path:
    """A minimal Debian: of the release that runs here, whose libraries the program is linked to, or that is named."""
    release = os.environ.get("FAILOVER_RELEASE") or platform.freedesktop_os_release()["VERSION_CODENAME"]
    contents = hashlib.sha256(PACKAGES.encode()).hexdigest()[:8]
    base = CACHE / "debian" / f"{release}-{contents}"
    if not base.is_dir():
        print(f"Downloading a minimal Debian {release} (60 MB) into {base}", flush=True)
        base.parent.mkdir(parents=True, exist_ok=True)
        unfinished = base.with_name(f".{base.name}-{secrets.token_hex(4)}")
        run("mmdebstrap", "--mode=root", "--variant=essential", f"--include={PACKAGES}", release, unfinished)
        unfinished.rename(base)
    return base


def build_network() -> None:
    """The router's namespace, and one for each provider, with the gateway and the targets in it."""
    for name in ("router", *PROVIDERS):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    for name, (device, address, gateway, address6, gateway6) in PROVIDERS.items():
        run("ip", "-n", "router", "link", "add", device, "type", "veth", "peer", "name", "lan", "netns", name)
        ends = (("router", device, address, address6), (name, "lan", f"{gateway}/24", f"{gateway6}/64"))
        for namespace, end, own, own6 in ends:
            run("ip", "-n", namespace, "address", "add", own, "dev", end)
            run("ip", "-n", namespace, "address", "add", own6, "dev", end, "nodad")
            run("ip", "-n", namespace, "link", "set", end, "up")
        for target in TARGETS:
            run("ip", "-n", name, "address", "add", target, "dev", "lo")
        # A provider does not answer ARP for what is behind it.
        run("ip", "netns", "exec", name, "sysctl", "-q", "net.ipv4.conf.all.arp_ignore=1")


def kernel() -> list[str]:
    """The router's routes and rules, of both families."""
    return [
        line.strip()
        for family in ("-4", "-6")
        for words in (["rule"], ["route", "show", "table", "all"])
        for line in run("ip", "-N", family, "-n", "router", *words).splitlines()
        # Comes and goes with time.
        if "multicast" not in line
    ]


def ours(lines: list[str]) -> list[str]:
    """What `ip -N` tells of routes and rules of the daemon's."""
    return [line for line in lines if "proto 176" in line]


def heard(action: Callable[[], object]) -> list[str]:
    """What the kernel tells of our routes and rules while something is done."""
    told = PLACE / "heard"
    with told.open("w") as file:
        listener = subprocess.Popen(["ip", "-N", "-n", "router", "monitor", "route", "rule"], stdout=file)

    def has_told_of(marker: str) -> bool:
        for change in ("add", "delete"):
            run("ip", "-n", "router", "route", change, marker, "dev", "lo", "table", "999")
        return f"{marker} " in told.read_text()

    try:
        wait_for("`ip monitor` listens", lambda: has_told_of("203.0.113.1"))
        action()
        wait_for("`ip monitor` has told of all", lambda: has_told_of("203.0.113.2"))
    finally:
        listener.kill()
        listener.wait()
    return ours(told.read_text().splitlines())


# A root's devices, file systems and hierarchy of processes, before systemd becomes process 1. Its first argument is the
# root, its second a control group of its own.
BOOT = """
    set -e
    echo 0 >"$2/cgroup.procs"
    exec unshare --cgroup --pid --mount --uts --ipc --fork --kill-child sh -ec '
        cd "$0"
        hostname router
        mount -t proc proc proc
        # The kernel is not its own.
        mount --bind proc/sys proc/sys
        mount -o remount,bind,ro proc/sys
        mount -t sysfs -o ro sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        mount -t tmpfs -o mode=755 tmpfs run
        mount -t tmpfs -o mode=755 tmpfs dev
        for device in null zero full random urandom tty; do
            touch dev/$device
            mount --bind /dev/$device dev/$device
        done
        mkdir dev/pts dev/shm
        mount -t devpts -o newinstance,ptmxmode=666,gid=5 devpts dev/pts
        ln -s pts/ptmx dev/ptmx
        pivot_root . .
        umount -l .
        exec setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-syslog,-audit_control,-audit_read \
            env -i container=failover-test PATH=/usr/sbin:/usr/bin /lib/systemd/systemd
    ' "$1"
"""


class Machine:
    """A Debian on the router. Nothing of what it writes is kept."""

    def __init__(self, name: str) -> None:
        self.root = PLACE / name / "root"
        self.cgroup = PLACE / "cgroup" / f"failover-test-{secrets.token_hex(4)}"
        self.first: int | None = None
        layer, work = PLACE / name / "layer", PLACE / name / "work"
        for directory in (self.root, layer, work):
            directory.mkdir(parents=True)
        layers = f"lowerdir={debian()},upperdir={layer},workdir={work}"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        run("mount", "-t", "proc", "proc", self.root / "proc")
        (self.root / "etc/machine-id").write_text(secrets.token_hex(16) + "\n")
        # Whatever ends the test: a control group would stay.
        atexit.register(self.halt)

    def boot(self) -> None:
        """Starts systemd, and waits until it has started everything."""
        self.cgroup.mkdir()
        command = ["nsenter", "--net=/run/netns/router", "sh", "-c", BOOT, "sh", self.root, self.cgroup]
        with (PLACE / "boot").open("w") as said:
            outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")

        def is_up() -> bool:
            assert outer.poll() is None, (PLACE / "boot").read_text()
            for child in children.read_text().split():
                if Path(f"/proc/{child}/root/run/systemd/private").exists():
                    self.first = int(child)
            return self.first is not None

        wait_for("systemd is process 1", is_up)
        state = self.run("systemctl", "is-system-running", "--wait", ok=False, timeout=300).strip()
        assert state == "running", state + self.run("systemctl", "--failed", ok=False)

    def halt(self) -> None:
        """Ends every process of it at once."""
        self.first = None
        if not self.cgroup.is_dir():
            return
        (self.cgroup / "cgroup.kill").write_text("1")

        def are_gone() -> bool:
            # What entered it from here is ours to bury, before its process 1 can rest.
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass
            with suppress(OSError):
                for directory, *_ in os.walk(self.cgroup, topdown=False):
                    os.rmdir(directory)
            return not self.cgroup.is_dir()

        wait_for("the processes of the machine have ended", are_gone)

    def enter(self) -> list[str]:
        """What runs the command behind it on the machine."""
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]
        if self.first is None:
            return ["nsenter", "--net=/run/netns/router", "chroot", str(self.root), *clean]
        return ["nsenter", f"--target={self.first}", "--all", "--root", "--wd", *clean]

    def run(self, *command: str, **options) -> str:
        """What a command on the machine prints: see `run`."""
        return run(*self.enter(), *command, **options)

    def status(self, *command: str) -> int:
        """How a command on the machine ends."""
        return subprocess.run([*self.enter(), *command], capture_output=True).returncode

    def files(self) -> dict[str, str]:
        """Every file of it, with what tells it from another. Without what `dpkg` and the log keep for themselves."""
        keep_out = {"proc", "sys", "dev", "run", "tmp", "var/tmp", "var/cache", "var/log", "var/lib/dpkg"}
        found = {}
        for directory, subdirectories, names in os.walk(self.root):
            here = Path(directory).relative_to(self.root)
            subdirectories[:] = [name for name in subdirectories if str(here / name) not in keep_out]
            for name in (*subdirectories, *names):
                path = Path(directory) / name
                if path.is_symlink():
                    what = f"-> {path.readlink()}"
                elif path.is_dir():
                    what = "directory"
                else:
                    what = f"{path.stat().st_mode:o} {path.stat().st_size} {path.stat().st_mtime_ns}"
                found[f"/{here / name}"] = what
        return found
