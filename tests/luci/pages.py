"""The fixture: a page in Chromium, before answers that a test gives or a live daemon."""

import copy
import json
import os
import unittest
from pathlib import Path

from bridge import INVALID_ARGUMENT, NO_DATA, Answer, Bridge
from browser import Browser

HERE = Path(__file__).resolve().parent
STATUS, CONFIG, TILE = "failover.status", "failover.config", "view.status.include.35_failover"
# The answer that ubus has for a method that is not called in a test.
DONE = {"message": "done"}


def recorded(name: str) -> dict:
    """What a real daemon answered."""
    return json.loads((HERE / "answers" / f"{name}.json").read_text())


def changed(name: str, **fields: object) -> dict:
    return recorded(name) | fields


def many(count: int) -> dict:
    """The answer of a daemon with so many providers."""
    status = recorded("well")
    first = status["providers"][0]
    status["providers"] = []
    for number in range(1, count + 1):
        provider = copy.deepcopy(first)
        provider["id"], provider["rank"] = f"isp{number}", number
        status["providers"].append(provider)
    return status


def lacking(*families: str, reason: str = "no address", state: str = "waiting") -> dict:
    """All is well but for families that no line has."""
    status = recorded("well")
    for path in (path for provider in status["providers"] for path in provider["paths"]):
        if path["family"] in families:
            path.update(state=state, reason=reason, address=None, gateway=None)
    for family in families:
        status["active"][family] = None
    return status


class Given:
    """Answers calls: with the status that is set, and what else is given by method."""

    def __init__(self, status: object, **answers: object) -> None:
        self.status, self.answers = status, answers

    def __call__(self, method: str, arguments: dict) -> object:
        if method == "status":
            return self.status
        answer = self.answers.get(method, DONE)
        return answer(arguments) if callable(answer) else answer


class PageTest(unittest.TestCase):
    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.browser.before("window.test = JSON.parse(window.name || '{}')")

    def open(self, answer: Answer, page: str = STATUS, **settings: object) -> Bridge:
        theme = os.environ.get("LUCI_THEME")
        bridge = Bridge(answer, Path(theme) if theme else None)
        self.addCleanup(bridge.close)
        self.browser.size(1200, 900)
        self.browser.go(f"{bridge.address}nothing")
        # What a page finds in its name is what the test sets.
        self.browser.run(f"window.name = {json.dumps(json.dumps({'page': page, **settings}))}")
        self.browser.go(bridge.address)
        self.browser.until("typeof test != 'undefined' && test.ready", "the page")
        self.assertIsNone(self.browser.run("test.failed"))
        return bridge

    def show(self, status: object, page: str = STATUS, **settings: object) -> str:
        self.open(Given(status), page, **settings)
        return self.text()

    def tearDown(self) -> None:
        self.assertEqual(self.browser.errors, [])
        # No text that is not ours may ever be parsed.
        self.assertIsNone(self.browser.run("typeof test == 'undefined' ? null : test.innerHTML"))

    def text(self, selector: str = "#view") -> str:
        return self.browser.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def texts(self, selector: str) -> list[str]:
        """The text of each element."""
        return self.browser.run(f"Array.from(document.querySelectorAll({json.dumps(selector)}), (one) => one.innerText)")

    def buttons(self, line: str = "") -> list[str]:
        """The names of the buttons of a line, or of all."""
        place = f"[data-key=line-{line}] button" if line else "#view button"
        return self.texts(place)

    def press(self, key: str) -> None:
        self.browser.run(f"document.querySelector('#view [data-key={json.dumps(key)}]').click()")

    def say_yes(self) -> None:
        """To the question that the page asks first."""
        self.browser.run("document.querySelectorAll('[role=dialog] button')[1].click()")


__all__ = ["CONFIG", "INVALID_ARGUMENT", "NO_DATA", "STATUS", "TILE", "Given", "PageTest", "changed", "lacking", "many", "recorded"]
