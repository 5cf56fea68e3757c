"""The sources of the pages: what they use of LuCI, their texts, and how they make nodes."""

import re
import sys
import unittest

import messages
from bridge import HERE, ROOT

sys.path.append(str(ROOT / "openwrt"))
import lmo

# Without comments and texts, which may say anything.
BARE = re.compile(r"//[^\n]*|/\*.*?\*/|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
MODULES = ("L", "baseclass", "dom", "form", "fs", "network", "poll", "rpc", "uci", "ui", "view", "widgets")


def bare(text: str) -> str:
    return BARE.sub("''", text)


class Sources(unittest.TestCase):
    def test_the_runtime_offers_what_they_use_of_luci_and_nothing_else(self) -> None:
        runtime = "".join((HERE / name).read_text() for name in ("runtime.js", "form.js"))
        listed = " ".join(re.findall(r"const \w*API = \[(.*?)\]", runtime, re.DOTALL))
        listed = set(re.findall(r"'([\w.]+)'", listed))
        used = set()
        for path in messages.sources():
            text = bare(path.read_text())
            used |= {name for name in ("E", "_", "N_") if re.search(rf"(?<![\w.$]){name}\(", text)}
            used |= {f"{module}.{name}" for module, name in re.findall(rf"(?<![\w.$])({'|'.join(MODULES)})\.(\w+)", text)}
            used |= {"String.format"} if ".format(" in text else set()
        self.assertEqual(used, listed)

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

    def test_visible_text_is_translated(self) -> None:
        """A text of more than one word that is not translated is no text for people."""
        for path in messages.sources():
            text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
            for literal in re.findall(r"(?<!_\()'((?:[^'\\\n]|\\.)*)'", text):
                if re.match(r"[A-Z][a-z]+ [a-z]", literal):
                    self.fail(f"{path}: {literal}")


if __name__ == "__main__":
    unittest.main()
