"""Packages of Debian for another architecture, unpacked into the cache: kernels, and programs that run on them.

apt gets a state of its own (source, lists, an empty list of what is installed): the machine's own stays as it is, and
`dpkg --add-architecture` is not needed. What apt downloads it checks against Debian's signatures.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boards import say, stop

MIRROR = "http://deb.debian.org/debian"
# The last release with 32-bit MIPS.
RELEASE = "bookworm"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SECONDS_MAX = 600


class Archive:
    """Debian's packages for one architecture."""

    def __init__(self, architecture: str, folder: Path) -> None:
        self.architecture = architecture
        self.folder = folder

    def fill(self, destination: Path, packages: dict[str, list[str]]) -> None:
        """Downloads packages, and unpacks the files that the patterns of each name. Every pattern must match; the
        folder appears when it is complete."""
        say(f"  {', '.join(packages)}")
        partial = destination.with_name(destination.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, patterns in packages.items():
            self.apt("apt-get", "download", self.real_name(name))
            (package,) = self.folder.glob("*.deb")
            unpack(package, patterns, partial)
            package.unlink()
        partial.rename(destination)

    def real_name(self, package: str) -> str:
        """The kernel that a package such as linux-image-armmp stands for at present; others stand for themselves."""
        for line in self.apt("apt-cache", "depends", package).splitlines():
            relation, _, name = line.strip().partition(": ")
            if relation == "Depends" and name.startswith("linux-image-"):
                return name
        return package

    def apt(self, program: str, *words: str) -> str:
        """Runs apt on this state, and returns what it printed."""
        options = {
            "APT::Architecture": self.architecture,
            "APT::Architectures::": self.architecture,
            "APT::Sandbox::User": "",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Retries": "3",
            "Dir::State": self.folder,
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "-",
        }
        command = [program, "--quiet=2", *(f"-o{name}={value}" for name, value in options.items()), *words]
        result = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
        if result.returncode:
            asked = " ".join([program, *words])
            stop(
                f"could not fetch packages for {self.architecture}: is {MIRROR} reachable?\n"
                f"`{asked}` said: {result.stderr.strip()}"
            )
        return result.stdout


@contextmanager
def archive(architecture: str) -> Iterator[Archive]:
    """The packages for one architecture, as they are now, for the length of a `with` block."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        stop("the kernels are packages of Debian, which takes its programs apt-get and dpkg-deb")
    if not KEYRING.exists():
        stop(f"there is no {KEYRING}: install the package debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="failover-apt-") as name:
        folder = Path(name)
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        source = f"deb [arch={architecture} signed-by={KEYRING}] {MIRROR} {RELEASE} main\n"
        (folder / "sources.list").write_text(source)
        found = Archive(architecture, folder)
        found.apt("apt-get", "update")
        yield found


def unpack(package: Path, patterns: list[str], destination: Path) -> None:
    """Unpacks files and whole folders of a package."""
    tar = ["tar", "--extract", "--directory", destination, "--wildcards", "--no-wildcards-match-slash"]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files:
        names = [f"./{pattern}" for pattern in patterns]
        result = subprocess.run([*tar, *names], stdin=files.stdout, capture_output=True, text=True, check=False)
    if result.returncode or files.returncode:
        stop(f"could not unpack {package.name}: {result.stderr.strip()}")
