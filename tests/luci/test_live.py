"""Status → Failover before a live daemon: its uplinks fail and return, and the buttons are pressed."""

import os
import unittest

from live import Router
from pages import PageTest


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


if __name__ == "__main__":
    unittest.main()
