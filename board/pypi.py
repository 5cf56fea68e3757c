"""Packages of PyPI, each set in a virtual environment of its own in the cache."""

import subprocess
import sys
from pathlib import Path

from boards import CACHE, say


class Unreachable(Exception):
    """In one line what could not be fetched, and what to do; below it, what was said."""


def fetched(*requirements: str) -> Path:
    """The environment with these packages (`name==version`), fetched at first. The caller holds the lock of the cache."""
    folder = CACHE / "-".join(requirement.replace("==", "-") for requirement in requirements)
    if not folder.is_dir():
        wanted = ", ".join(requirements)
        say(f"fetching from PyPI into {folder}: {wanted}")
        partial = CACHE / "pypi.partial"
        try:
            _run(sys.executable, "-m", "venv", "--clear", partial)
            pip = (partial / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check")
            _run(*pip, "install", "--only-binary=:all:", *requirements)
        except subprocess.CalledProcessError as error:
            raise Unreachable(
                f"could not fetch {wanted} from PyPI: look at the network; Python must have venv and pip "
                f"(Debian: apt-get install python3-venv)\n{' '.join(error.cmd)}\n{error.stdout}"
            ) from error
        partial.rename(folder)
    return folder


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
