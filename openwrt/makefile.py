"""The package description from the feed's Makefile, read without make and without OpenWrt's SDK.

It is the only one: the packages of opkg and of apk are made from it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from archive import Files

FEED = Path(__file__).resolve().parent
PACKAGE = FEED / "failover"

# The install commands of the SDK's rules.mk, and their modes.
MODES = {"$(INSTALL_BIN)": 0o755, "$(INSTALL_DATA)": 0o644, "$(INSTALL_CONF)": 0o600}
# The directory of the program in the SDK's build.
PROGRAM = "$(PKG_INSTALL_DIR)/bin/failover"


@dataclass(frozen=True)
class Installed:
    """A file of the package: its path, its mode, and its source; the program has no source here."""

    path: str
    mode: int
    source: Path | None


class Makefile:
    """The variables and the `define`s of the Makefile."""

    def __init__(self) -> None:
        text = (PACKAGE / "Makefile").read_text()
        # A definition inside a condition is indented.
        pattern = re.compile(r"^ *define (\S+)\n(.*?)^ *endef$", re.MULTILINE | re.DOTALL)
        self.definitions = dict(pattern.findall(text))
        self.variables = assignments(pattern.sub("", text))
        self.package = assignments(self.definitions["Package/failover"])

    def variable(self, name: str) -> str:
        return self.variables[name]

    @property
    def version(self) -> str:
        return f"{self.variable('PKG_VERSION')}-r{self.variable('PKG_RELEASE')}"

    def script(self, name: str) -> str:
        """A maintainer script, or the description, as expanded by make."""
        return self.definitions[f"Package/failover/{name}"].replace("$$", "$")

    def depends(self) -> list[str]:
        """The packages that are installed with it."""
        words = self.package["DEPENDS"].split()
        # Each package needs the C library; what the scripts call is part of each router's base system.
        return ["libc", *(word.removeprefix("+") for word in words if word.startswith("+"))]

    def installed(self) -> list[Installed]:
        """The files of the package."""
        files = []
        for line in self.definitions["Package/failover/install"].splitlines():
            command, *operands = line.split()
            if command == "$(INSTALL_DIR)":
                continue  # the files below it bring it along
            source, target = operands
            origin = None if source == PROGRAM else PACKAGE / source
            files.append(Installed(target.removeprefix("$(1)/"), MODES[command], origin))
        return files

    def files(self, program: bytes) -> Files:
        """The files of the package, with their content."""
        return {
            file.path: (file.mode, file.source.read_bytes() if file.source else program) for file in self.installed()
        }


def assignments(text: str) -> dict[str, str]:
    return dict(re.findall(r"^ *(\w+):=(.*)$", text, re.MULTILINE))
