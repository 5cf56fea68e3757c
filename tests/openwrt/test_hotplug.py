"""The hotplug script, run as by netifd: all scripts run in turn, each by `.` in a shell."""

import time
import unittest

from router import RouterTest


# As OpenWrt's.
HOTPLUG_CALL = """#!/bin/sh
for script in $(ls /etc/hotplug.d/$1/* 2>&-); do
	(. $script)
done
"""


class Hotplug(RouterTest):
    def news(self, action: str, **environment: str) -> None:
        done = self.run_there(
            "/bin/sh", "-c", "( . /etc/hotplug.d/iface/00-failover )", ACTION=action, INTERFACE="wan6", **environment
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def calls_in_the_end(self) -> list[str]:
        file, end = self.root / "tmp/calls", time.monotonic() + 10
        while not (file.exists() and file.read_text().endswith("\n")) and time.monotonic() < end:
            time.sleep(0.01)
        return self.calls()

    def test_each_change_of_an_interface_has_the_daemon_look_again(self) -> None:
        for action in ("ifup", "ifdown", "ifupdate"):
            self.news(action, DEVICE="eth1", IFUPDATE_ADDRESSES="1")
            self.assertEqual(self.calls_in_the_end(), ["failover [refresh] [wan6]"], action)

    def test_other_news_are_left_alone(self) -> None:
        for action in ("ifup-failed", "free", ""):
            self.news(action)
        self.news("ifup")
        self.assertEqual(self.calls_in_the_end(), ["failover [refresh] [wan6]"])

    def test_nobody_waits_for_it(self) -> None:
        self.program("refresh", "sleep 3")
        begun = time.monotonic()
        self.news("ifup")
        self.assertLess(time.monotonic() - begun, 2)

    def test_it_does_not_wait_for_the_firewall(self) -> None:
        """netifd calls all scripts in the order of their names, one after the other."""
        self.write("etc/hotplug.d/iface/00-netstate", "echo netstate >>/tmp/calls\n")
        self.write("etc/hotplug.d/iface/20-firewall", "sleep 2; echo firewall >>/tmp/calls\n")
        self.write("sbin/hotplug-call", HOTPLUG_CALL, 0o755)
        self.program("refresh", "date +%s >/tmp/refreshed")
        begun = time.time()
        done = self.run_there("/sbin/hotplug-call", "iface", ACTION="ifup", INTERFACE="wan")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        calls = self.calls()
        self.assertEqual(calls[-1], "firewall")
        self.assertIn("failover [refresh] [wan]", calls[:-1])
        self.assertLess(int(self.read("tmp/refreshed")), begun + 2)

    def test_without_a_daemon_nothing_is_said(self) -> None:
        self.program("refresh", "echo 'no daemon is running' >&2; exit 69")
        self.news("ifup")
        self.calls_in_the_end()
        self.assertEqual(self.logged(), [])


if __name__ == "__main__":
    unittest.main()
