"""The shipped configuration agrees with the program and with the tables of options in docs/."""

import re
import subprocess
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from router import FILES, PROGRAM, ROOT

SHIPPED = (FILES / "failover.config").read_text()
# As after the first install.
UPLINK = "\tlist interface 'uplink'\n"
IN_USE = SHIPPED.replace("enabled '0'", "enabled '1'").replace("# (The uplinks", f"config provider 'own'\n{UPLINK}# (")
# In a comment above an option: the value shown is not the default.
EXAMPLE = "No default"


@dataclass(frozen=True)
class Shown:
    """An option that is commented out."""

    line: str
    kind: str
    # The type of a check.
    type: str
    name: str
    value: str
    # In a section that is commented out, options without a comment are needed by the example.
    is_example: bool


def problems(text: str) -> list[str]:
    """The output of `failover check`, without the warnings of a single uplink and of what this machine lacks."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "failover"
        file.write_text(text)
        checked = subprocess.run([PROGRAM, "check", "--config", file], capture_output=True, text=True)
    here = ("there is nothing to fail over to", "this machine has no netifd", "there is no such group")
    lines = [line for line in checked.stderr.splitlines() if not any(one in line for one in here)]
    return lines if checked.returncode == 0 else ["refused", *lines]


def shown() -> list[Shown]:
    """Every option that is commented out."""
    found, kind, type_, comment, is_off = [], "", "", "", False
    for line in SHIPPED.splitlines():
        match line.removeprefix("#").split(maxsplit=2):
            case ["config", kind, _]:
                comment, is_off, type_ = "", line.startswith("#"), ""
            case ["option" | "list", name, value]:
                value = value.strip("'")
                type_ = value if name == "type" else type_
                if line.startswith("#\t"):
                    needed = is_off and kind == "check" and not comment
                    found.append(Shown(line, kind, type_, name, value, EXAMPLE in comment or needed))
                comment = ""
            case []:
                comment = ""
            case _:
                comment += line
    return found


def table(title: str) -> str:
    """A part of docs/ that has an option table."""
    text = "".join((ROOT / "docs" / page).read_text() for page in ("options.md", "checks.md"))
    _, found, rest = text.partition(f"\n## {title}\n")
    if not found:
        raise AssertionError(f"docs/ has no part '## {title}'")
    return re.split(r"\n##? ", rest)[0]


def documented(title: str) -> dict[str, str]:
    """An option table of docs/: option -> default as in the table; `src/config/described.rs` tests that it is true."""
    return dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*?) \|", table(title), re.MULTILINE))


def literal(default: str) -> str | None:
    """The value in a table; none if it is described in words."""
    found = re.fullmatch(r"`(\S+)`|(\d\w*)", default)
    return found and (found[1] or found[2])


class Shipped(unittest.TestCase):
    def test_it_is_good_before_and_after_the_first_install(self) -> None:
        self.assertEqual([line for line in problems(SHIPPED) if "warning: no provider" not in line], [])
        self.assertEqual(problems(IN_USE), [])

    def test_its_checks_are_of_different_owners_in_both_families(self) -> None:
        targets = re.findall(r"^\toption target '(.*)'$", SHIPPED, re.MULTILINE)
        self.assertGreaterEqual(sum(":" in target for target in targets), 2)
        self.assertGreaterEqual(sum(":" not in target for target in targets), 2)
        networks = [re.split(r"[.:]", target)[0] for target in targets]
        self.assertEqual(len(set(networks)), len(networks))

    def test_everything_behind_a_hash_is_good_in_its_place(self) -> None:
        for option in shown():
            with_it = option.line[1:] + "\n"
            match option:
                case Shown(kind="globals"):
                    text = IN_USE.replace(option.line + "\n", with_it, 1)
                case Shown(kind="provider", name="interface" | "device"):
                    text = IN_USE.replace(UPLINK, with_it)
                case Shown(kind="provider", name="device6"):
                    text = IN_USE.replace(UPLINK, "\toption device 'eth9'\n" + with_it)
                case Shown(kind="provider"):
                    text = IN_USE.replace(UPLINK, UPLINK + with_it)
                case _:
                    continue  # with the sections that are examples
            self.assertNotEqual(text, IN_USE)
            self.assertEqual(problems(text), [], option)

    def test_sections_that_are_examples_are_good(self) -> None:
        text = re.sub(r"^#(\t|config )", r"\1", IN_USE, flags=re.MULTILINE)
        # A provider has either interfaces or a device.
        text = re.sub(r"\toption device6? '.*'\n", "", text)
        self.assertEqual(problems(text), [])
        self.assertIn("\nconfig check 'https'", text)


class Documented(unittest.TestCase):
    """Every option of docs/ is in the file, and has the same default there."""

    def compare(self, title: str, *kinds: str) -> None:
        options = documented(title)
        self.assertGreater(len(options), 3)
        for option, default in options.items():
            self.assertRegex(SHIPPED, rf"(?m)^#?\t(option|list) {option} ", option)
            value = literal(default)
            if value and value not in options:  # else it is told in words, or is that of another option
                offered = [one for one in shown() if one.name == option and one.kind in kinds and not one.is_example]
                self.assertLessEqual({one.value for one in offered}, {value}, option)

    def test_globals(self) -> None:
        self.compare("`config globals`", "globals")

    def test_provider(self) -> None:
        self.compare("`config provider 'NAME'`", "provider")

    def test_timing(self) -> None:
        self.compare("Timing and verdict", "globals", "provider")

    def test_quality(self) -> None:
        self.compare("Quality", "globals", "provider")

    def test_check(self) -> None:
        self.compare("`config check 'NAME'`", "check")

    def test_types_of_checks(self) -> None:
        rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| [^|]* \| ([^|]*?) \|", table("Types of checks"), re.MULTILINE)
        self.assertGreater(len(rows), 15)
        for type_, option, default in rows:
            offered = [one for one in shown() if (one.kind, one.type, one.name) == ("check", type_, option)]
            self.assertEqual(len(offered), 1, (type_, option))
            if not offered[0].is_example:
                in_words = "the target" if option == "host" else None
                self.assertEqual(literal(default) or default, in_words or offered[0].value, (type_, option))


if __name__ == "__main__":
    unittest.main()
