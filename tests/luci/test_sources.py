"""The sources of the pages: what they use of LuCI, their texts, and how they make nodes.

With LUCI_RESOURCES=FOLDER, LuCI's own /www/luci-static/resources, LuCI is searched for what they use.
"""

import os
import re
import sys
import unittest
from pathlib import Path

import messages
from bridge import HERE, ROOT

sys.path.append(str(ROOT / "openwrt"))
import lmo

# Without comments and texts, which may say anything.
BARE = re.compile(r"//[^\n]*|/\*.*?\*/|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
MODULES = ("L", "baseclass", "dom", "form", "fs", "network", "poll", "rpc", "uci", "ui", "view", "widgets")


# Where LuCI has it.
LUCI = {"uci": "uci.js", "rpc": "rpc.js", "ui": "ui.js", "form": "form.js", "widgets": "tools/widgets.js"}
# They change how a form looks, which is not for the tests.
LOOKS = ("addremove", "anonymous", "nodescriptions")


def listed(kind: str) -> set[str]:
    """Of the lists in the runtime."""
    runtime = "".join((HERE / name).read_text() for name in ("runtime.js", "form.js"))
    return set(re.findall(r"'([\w.]+)'", " ".join(re.findall(rf"const \w*{kind} = \[(.*?)\]", runtime, re.DOTALL))))


def bare(text: str) -> str:
    return BARE.sub("''", text)


class Sources(unittest.TestCase):
    def test_the_runtime_offers_what_they_use_of_luci_and_nothing_else(self) -> None:
        used = set()
        for path in messages.sources():
            text = bare(path.read_text())
            used |= {name for name in ("E", "_", "N_") if re.search(rf"(?<![\w.$]){name}\(", text)}
            used |= {f"{module}.{name}" for module, name in re.findall(rf"(?<![\w.$])({'|'.join(MODULES)})\.(\w+)", text)}
            used |= {"String.format"} if ".format(" in text else set()
        self.assertEqual(used, listed("API"))

    def test_the_lists_are_of_what_is_there(self) -> None:
        """Each member is used by the page, and is one of the runtime's forms."""
        page = bare((messages.APP / "htdocs/luci-static/resources/view/failover/config.js").read_text())
        runtime = (HERE / "form.js").read_text().split("class FormMap")[1]
        for member in listed("MEMBERS"):
            name = member.split(".")[1]
            self.assertTrue(re.search(rf"\.{name}\b", page), member)
            self.assertTrue(name in LOOKS or re.search(rf"\b{name}\b", runtime), member)

    @unittest.skipUnless(os.environ.get("LUCI_RESOURCES"), "LUCI_RESOURCES is the folder of LuCI's own")
    def test_luci_has_it(self) -> None:
        members = {f"{'widgets' if member.startswith('NetworkSelect') else 'form'}.{member}" for member in listed("MEMBERS")}
        for name in listed("API") | members:
            module, *members = name.split(".")
            files = [LUCI[module]] if module in LUCI else ["luci.js", "cbi.js"]
            text = "".join((Path(os.environ["LUCI_RESOURCES"]) / file).read_text() for file in files)
            for member in members or [module]:
                self.assertTrue(re.search(rf"(?<!\w){member}\w*\b\s*[(:=,?]|\.{member}\b|'{member}'", text), name)

    def test_they_only_make_nodes(self) -> None:
        for path in messages.sources():
            text = bare(path.read_text())
            for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "rawhtml", "dom.parse"):
                self.assertNotIn(forbidden, text, path)

    def test_every_text_is_translated_and_the_template_is_current(self) -> None:
        self.assertEqual(messages.TEMPLATE.read_text(), messages.template(), "run tests/luci/messages.py")
        template = lmo.messages(messages.template())
        formats = re.compile(r"%[sd%]")
        for path in sorted(messages.APP.glob("po/*/*.po")):
            translated = lmo.messages(path.read_text())
            self.assertEqual(set(translated), set(template), path)
            for text, translation in translated.items():
                self.assertTrue(translation or not text, f"{path}: {text}")
                self.assertEqual(formats.findall(translation), formats.findall(text), f"{path}: {text}")
        self.assertEqual(len(list(messages.APP.glob("po/*/*.po"))), 2)

    def test_every_option_has_a_title(self) -> None:
        folder = messages.APP / "htdocs/luci-static/resources/failover"
        options = set(re.findall(r"\{ name: '(\w+)'", (folder / "options.js").read_text()))
        titles = re.findall(r"^\t\t(\w+): \S", (folder / "titles.js").read_text(), re.MULTILINE)
        self.assertEqual(sorted(titles), sorted(options))

    def test_visible_text_is_translated(self) -> None:
        """A text of more than one word that is not translated is no text for people."""
        for path in messages.sources():
            text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
            for literal in re.findall(r"(?<!_\()'((?:[^'\\\n]|\\.)*)'", text):
                if re.match(r"[A-Z][a-z]+ [a-z]", literal):
                    self.fail(f"{path}: {literal}")


if __name__ == "__main__":
    unittest.main()
