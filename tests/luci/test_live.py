"""The pages before a live daemon: its uplinks fail and return, the buttons are pressed, its configuration is changed."""

import os
import unittest

from live import Router, Session, sections_of
from pages import CONFIG, PageTest
from test_config import ConfigTest


@unittest.skipUnless(os.geteuid() == 0, "only root can make the network")
class Live(PageTest):
    def setUp(self) -> None:
        self.router = Router()
        self.addCleanup(self.router.close)
        answer = self.router.answer()
        self.browser.until(lambda: self.online(answer("status", {})), "all lines are online")
        self.bridge = self.open(answer)

    def online(self, status: object) -> bool:
        return isinstance(status, dict) and all(provider["state"] == "online" for provider in status["providers"])

    def wait(self, selector: str, text: str) -> None:
        there = f"(document.querySelector('{selector}') || document.body).innerText.includes('{text}')"
        self.browser.until(there, f"{selector}: {text}")

    def test_a_day_in_the_life(self) -> None:
        self.wait("[data-key=family-ipv4]", "→\\nisp1")
        self.router.dies(1)
        self.wait("[data-key=family-ipv4]", "→\\nisp2")
        self.wait("[data-key=line-isp1]", "Offline")
        self.wait(".fo-journal", "3 rounds failed: 198.51.100.1 unanswered")
        self.press("probe-isp1")
        self.wait("[data-key=line-isp1] .fo-answers", "ipv6 six (ping 2001:db8:ff::1): unanswered")
        self.router.returns(1)
        self.wait("[data-key=family-ipv4]", "→\\nisp1")
        self.press("use-isp2")
        self.say_yes()
        self.wait("[data-key=traffic]", "isp2 is pinned")
        self.wait("[data-key=family-ipv6]", "because it is pinned")
        self.press("auto-isp2")
        self.wait("[data-key=family-ipv4]", "→\\nisp1")
        self.press("disable-isp1")
        self.wait("[data-key=line-isp1]", "Disabled")
        self.wait("[data-key=family-ipv4]", "→\\nisp2")
        self.press("enable-isp1")
        self.wait("[data-key=family-ipv4]", "→\\nisp1")
        self.press("count-")
        self.wait("[data-key=line-isp1]", "Connections at ")
        self.router.dies(1)
        self.router.dies(2)
        self.wait("[data-key=warnings]", "No line works in IPv4")
        self.router.stop()
        self.wait("[role=alert]", "daemon is not running")
        self.router.returns(1)
        self.router.start()
        self.wait("[data-key=family-ipv4]", "→\\nisp1")
        self.wait("[data-key=line-isp1]", "Online")


@unittest.skipUnless(os.geteuid() == 0, "only root can make the network")
class Configuration(ConfigTest):
    def setUp(self) -> None:
        self.router = Router()
        self.addCleanup(self.router.close)
        self.session = Session(self.router, sections_of(self.router.file.read_text()))
        self.browser.until(lambda: isinstance(self.session("status", {}), dict), "the daemon answers")
        self.open(self.session, CONFIG, devices=["eth1", "eth2"])

    def wait(self, selector: str, text: str) -> None:
        self.browser.until(f"(document.querySelector('{selector}') || {{ innerText: '' }}).innerText.includes('{text}')", text)

    def test_what_the_daemon_refuses_is_told_at_its_field_and_what_it_takes_is_in_force(self) -> None:
        self.wait(".fo-alert", "This configuration is in force")
        self.wait(".fo-alert", "IPv4 → isp1")
        self.type("globals", "max_failed", "64")
        self.press_and_wait("Save & Apply")
        self.wait("[data-name=max_failed] .fo-problem", "is above the window of 50 rounds")
        self.assertEqual(len(self.texts(".fo-problem")), 1)
        self.assertNotIn("max_failed", self.router.file.read_text())
        self.edit("isp2")
        self.type("isp2", "gateway", "192.0.2.256")
        self.save_dialog()
        self.wait("[data-sid=isp2]", "192.0.2.256")
        self.edit("isp2")
        self.assertIn("192.0.2.256", self.text(".modal [data-name=gateway] .fo-problem"))
        self.type("isp2", "gateway", "")
        self.save_dialog()
        self.type("globals", "max_failed", "")
        self.drag("isp2", "isp1")
        self.press_and_wait("Save")
        self.wait(".fo-alert", "Saved, but not in force yet")
        self.assertEqual(self.texts(".fo-problem"), [])
        self.browser.run("window.before = true")
        self.press("Save & Apply")
        self.browser.until("!window.before && typeof test != 'undefined' && test.ready", "the page is loaded again")
        self.wait(".fo-alert", "This configuration is in force")
        self.wait(".fo-alert", "IPv4 → isp2")
        self.wait("[data-sid=isp2]", "Online")


if __name__ == "__main__":
    unittest.main()
