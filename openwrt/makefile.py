"""The descriptions of the packages from the feed's Makefiles, read without make and without OpenWrt's SDK.

They are the only ones: the packages of opkg and of apk are made from them.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from archive import Files
from lmo import catalogue

FEED = Path(__file__).resolve().parent
PACKAGE = FEED / "failover"
LUCI_APP = FEED / "luci-app-failover"

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


class Description:
    """The variables and the `define`s of a Makefile."""

    def __init__(self, folder: Path) -> None:
        text = (folder / "Makefile").read_text()
        # A definition inside a condition is indented.
        pattern = re.compile(r"^ *define (\S+)\n(.*?)^ *endef$", re.MULTILINE | re.DOTALL)
        self.definitions = dict(pattern.findall(text))
        self.variables = assignments(pattern.sub("", text))

    def variable(self, name: str) -> str:
        return self.variables[name]

    @property
    def version(self) -> str:
        return f"{self.variable('PKG_VERSION')}-r{self.variable('PKG_RELEASE')}"

    @property
    def name(self) -> str:
        return self.variable("PKG_NAME")


class Makefile(Description):
    """The program's package."""

    def __init__(self) -> None:
        super().__init__(PACKAGE)
        self.package = assignments(self.definitions["Package/failover"])

    @property
    def section(self) -> str:
        return self.package["SECTION"]

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


# What luci.mk runs after an installation, if the package has no script of its own.
LUCI_POSTINST = """[ -n "${IPKG_INSTROOT}" ] || {
	rm -f /tmp/luci-indexcache.*
	rm -rf /tmp/luci-modulecache/
	/etc/init.d/rpcd reload 2>/dev/null
	exit 0
}
"""


class LuciApp(Description):
    """The package of LuCI's pages, as luci.mk makes it; the translations, which luci.mk packs one by one, are in it."""

    section = "luci"

    def __init__(self) -> None:
        super().__init__(LUCI_APP)

    def script(self, name: str) -> str:
        return {"description": f"{self.variable('LUCI_DESCRIPTION')}\n", "postinst": LUCI_POSTINST}.get(name, "")

    def depends(self) -> list[str]:
        return ["libc", *(word.removeprefix("+") for word in self.variable("LUCI_DEPENDS").split())]

    def files(self, _program: bytes = b"") -> Files:
        """The files of the package, with their content."""
        files: Files = {}
        for source, target in (("htdocs", "www"), ("root", ".")):
            for path in sorted((LUCI_APP / source).rglob("*")):
                if path.is_file():
                    place = Path(target) / path.relative_to(LUCI_APP / source)
                    files[str(place)] = (0o644, smaller(path))
        for path in sorted((LUCI_APP / "po").glob("*/*.po")):
            place = f"usr/lib/lua/luci/i18n/{path.stem}.{path.parent.name.replace('_', '-').lower()}.lmo"
            files[place] = (0o644, catalogue(path.read_text()))
        return files


# Texts and patterns, which stay; comments and blanks, which are shortened.
PIECE = re.compile(
    r"('(?:[^'\\\n]|\\.)*'|(?:(?<=[(,=>&|?:!] )|(?<=[(!])|(?<=return ))/[^/*\n](?:[^/\\\n]|\\.)*/)|//[^\n]*|/\*.*?\*/|\s+",
    re.DOTALL,
)


# Beside these, JavaScript needs no blank.
ALONE = frozenset("{}()[],:;=?<>|&!*")


def smaller(path: Path) -> bytes:
    """A file of the pages without comments, indentation and needless blanks, which luci.mk also takes away."""
    if path.suffix not in (".js", ".css"):
        return path.read_bytes()

    def short(piece: re.Match[str]) -> str:
        if piece[1] or piece[0][0] == "/":
            return piece[1] or ""
        beside = piece.string[piece.start() - 1] + piece.string[piece.end() : piece.end() + 1]
        return "\n" if "\n" in piece[0] else "" if path.suffix == ".js" and ALONE.intersection(beside) else " "

    return re.sub(r"\s*\n\s*", "\n", PIECE.sub(short, path.read_text())).strip().encode() + b"\n"


def assignments(text: str) -> dict[str, str]:
    return dict(re.findall(r"^ *(\w+):=(.*)$", text, re.MULTILINE))
