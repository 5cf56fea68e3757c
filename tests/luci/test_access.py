"""Keyboard, names, roles and contrast of the pages, by axe-core, in light and dark, wide and narrow."""

import os
import unittest
from pathlib import Path

from pages import CONFIG, STATUS, TILE, Given, PageTest, recorded
from test_config import Router, usual

AXE = Path(os.environ.get("AXE", "axe.min.js"))
# What belongs to LuCI's frame, not to a page in it.
NOT_OURS = ["aria-dialog-name", "page-has-heading-one", "region"]


class Access(PageTest):
    def violations(self) -> list[str]:
        self.browser.run(AXE.read_text() + "; null")
        rules = "{" + ", ".join(f"'{rule}': {{ enabled: false }}" for rule in NOT_OURS) + "}"
        return self.browser.run(
            f"axe.run(document, {{ rules: {rules} }}).then((found) => found.violations.map((one) => one.id + ': ' +"
            " one.nodes.map((node) => node.html + ' ' + node.failureSummary).join('; ')))"
        )

    def test_axe_finds_nothing(self) -> None:
        nothing = recorded("nothing")
        cure = "ip link set eth1 up"
        nothing["warnings"] = [
            {"code": code, "provider": None, "text": f"what; cure: {cure}", "cure": cure, "since_s": 1}
            for code in ("config-refused", "config")
        ]
        for page, status in ((STATUS, nothing), (STATUS, recorded("pinned")), (STATUS, recorded("disabled")), (STATUS, 5), (TILE, nothing)):
            for width, dark in ((1200, False), (1200, True), (360, False)):
                with self.subTest(page=page, width=width, dark=dark):
                    self.open(Given(status), page)
                    self.browser.size(width, 900, dark)
                    self.browser.run("document.querySelectorAll('details').forEach((one) => one.open = true)")
                    self.assertEqual(self.violations(), [])
                    self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"), width)

    def test_axe_finds_nothing_in_the_configuration(self) -> None:
        places = {"places": ["globals.down", "isp1.gateway"], "problems": ["f:1: down", "f:2: warning: gateway"], "valid": False}
        none = [one for one in usual() if one[".type"] != "provider"]
        proposed = {"providers": [{"id": name, "interface": [name, f"{name}6"]} for name in ("wan", "wanb")]}
        for sections in (usual(), none):
            for width, dark in ((1200, False), (1200, True), (360, False)):
                for dialog in (False, True) if sections != none else (False,):
                    with self.subTest(width=width, dark=dark, dialog=dialog, sections=len(sections)):
                        self.open(Router(sections, places, propose=proposed), CONFIG)
                        self.browser.size(width, 900, dark)
                        if dialog:
                            self.browser.run("document.querySelector('.cbi-button-edit').click()")
                            self.browser.until("document.querySelector('.modal .cbi-value')")
                        self.assertEqual(self.violations(), [])

    def test_every_control_is_reached_by_the_keyboard(self) -> None:
        bridge = self.open(Given(recorded("well")))
        wanted = set(self.browser.run("Array.from(document.querySelectorAll('#view button'), (one) => one.dataset.key)"))
        wanted |= {"SUMMARY", "SELECT"}
        reached = set()
        for _ in range(30):
            self.browser.key("Tab", 9)
            here = self.browser.run("document.activeElement.tagName == 'BUTTON' ? document.activeElement.dataset.key : document.activeElement.tagName")
            reached.add(here)
        self.assertLessEqual(wanted, reached)
        self.browser.run("document.querySelector('[data-key=use-isp2]').focus()")
        self.browser.key("Enter", 13, "\r")
        self.browser.until("document.activeElement.innerText == 'Cancel'", "the question has the focus")
        self.browser.key("Tab", 9)
        self.browser.key("Enter", 13, "\r")
        self.browser.until(lambda: ("use", {"provider": "isp2"}) in bridge.calls)
        self.browser.until("document.activeElement.dataset.key == 'use-isp2'", "the focus is back")


if __name__ == "__main__":
    unittest.main()
