"""Unpacks packages of Debian into the cache. Nothing is installed, and the lists of apt stay as they are."""

import re
import shutil
import subprocess
from pathlib import Path

from boards import say, stop


def fetch(names: list[str], destination: Path, without: list[str], instead: str) -> None:
    """Puts packages, and what they need that this machine lacks, into `destination`, but for the files `without`.

    Ends the script when it cannot; `instead` then tells what else a person could do.
    """
    wanted = ", ".join(names)
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        stop(f"{wanted} are needed, and fetched only on Debian: {instead}")
    partial = destination.with_name(destination.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    downloads = partial / "apt" / "downloads"
    downloads.mkdir(parents=True)
    say(f"fetching from Debian into {destination}: {wanted}, and what they need")
    try:
        apt = ["apt-get", *_state(partial / "apt", names), "--quiet=2"]
        _output([*apt, "update"])
        listed = _output([*apt, "--print-uris", "--no-install-recommends", "install", *names])
        # Lines `'URI' FILE SIZE HASH`.
        needed = sorted(line.split()[1].split("_")[0] for line in listed.splitlines() if line.startswith("'"))
        _output([*apt, "download", *needed], downloads)
        for package in sorted(downloads.glob("*.deb")):
            _unpack(package, partial, without)
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        stop(
            f"could not fetch {wanted} from Debian: look at the network and /etc/apt/sources.list, {instead}\n{command}"
        )
    shutil.rmtree(partial / "apt")
    partial.rename(destination)


def _state(folder: Path, names: list[str]) -> list[str]:
    """Options that give apt a state of its own, which needs no root and in which no packages are installed."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    installed = Path("/var/lib/dpkg/status").read_text().split("\n\n")
    named = re.compile(f"^(Package|Source): ({'|'.join(map(re.escape, names))})( |$)", re.MULTILINE)
    (folder / "status").write_text("\n\n".join(entry for entry in installed if not named.search(entry)))
    options = {
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "",
    }
    return [f"-o{name}={value}" for name, value in options.items()]


def _unpack(package: Path, destination: Path, without: list[str]) -> None:
    """Unpacks a package; in the patterns of `without`, `*` does not stand for a slash."""
    excluded = [f"--exclude=./{pattern}" for pattern in without]
    tar = ["tar", "--extract", "--directory", destination, "--no-wildcards-match-slash", *excluded]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
        subprocess.run(tar, check=True, stdin=archive.stdout)
    if archive.returncode:
        raise subprocess.CalledProcessError(archive.returncode, archive.args)


def _output(command: list[str], folder: Path | None = None) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=folder).stdout
