"""The init script, under BusyBox's shell and a replacement for rc.common that records the calls of procd."""

import re
import unittest

from router import INSTANCE, TRIGGERS, RouterTest

BAD = """echo "/etc/config/failover:3: interval 'soon': expected a duration" >&2; exit 78"""
# The same, but a copy is good.
BAD_BESIDE_COPY = f'case "$*" in *last-good*) exit 0 ;; esac; {BAD}'
COPY = "etc/failover/last-good.conf"
CHECK_COPY = "failover [check] [--config] [/etc/failover/last-good.conf]"
# What a killed daemon has set stays, and the next one takes it over.
KILL = 'ubus [call] [service] [signal] [{ "name": "failover", "signal": 9 }]'
# A disabled run deletes the routes and rules of a killed daemon.
CLEAN = "failover [run] [--config] [/proc/self/fd/0]"


class InitTest(RouterTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("etc/config/failover", "config globals\n\nconfig provider 'wan'\n\tlist interface 'wan'\n")

    def is_running(self) -> bool:
        return (self.root / "tmp/running").exists()

    def disable(self) -> None:
        self.write("etc/config/failover", "config globals 'globals'\n\toption enabled 'off'\n")


class Start(InitTest):
    def test_it_opens_an_instance_that_is_respawned_for_ever_and_logged(self) -> None:
        done = self.service("start")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.calls(), ["failover [check]", *INSTANCE, *TRIGGERS])
        self.assertEqual(self.logged(), [])

    def test_it_comes_after_the_network(self) -> None:
        self.service("enable")
        (link,) = (self.root / "etc/rc.d").iterdir()
        self.assertGreater(int(re.fullmatch(r"S(\d\d)failover", link.name)[1]), 20)

    def test_switched_off_it_opens_no_instance_and_says_so(self) -> None:
        self.disable()
        done = self.service("start")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.calls(), [CLEAN, *TRIGGERS])
        self.assertIn("switched off by option enabled '0'", done.stderr)
        self.assertEqual(len(self.logged()), 1)

    def test_a_bad_configuration_is_refused_in_the_log_and_on_the_terminal(self) -> None:
        self.program("check", BAD)
        done = self.service("start")
        self.assertEqual(done.returncode, 78)
        # The triggers stay: they start it when the configuration has been corrected.
        self.assertEqual(self.calls(), ["failover [check]", *TRIGGERS])
        self.assertIn("/etc/config/failover:3: interval 'soon'", done.stderr)
        (line,) = self.logged()
        self.assertRegex(line, r"^<27>.*failover: /etc/config/failover:3: interval 'soon'")  # 27: daemon.err

    def test_a_bad_configuration_stops_no_daemon_that_runs(self) -> None:
        self.service("start")
        self.calls()
        self.program("check", BAD)
        for command in ("start", "restart"):
            done = self.service(command)
            self.assertEqual(done.returncode, 78, command)
            self.assertEqual(self.calls(), ["failover [check]"], command)
            self.assertTrue(self.is_running())
            self.assertIn("interval 'soon'", done.stderr)
            self.assertIn("the daemon goes on with the configuration that it has", done.stderr)
            self.assertEqual(len(self.logged()), 2, command)

    def test_where_none_runs_the_copy_of_the_last_good_one_is_run_and_that_is_said(self) -> None:
        self.write(COPY, "config globals\n")
        self.program("check", BAD_BESIDE_COPY)
        for command in ("start", "restart", "reload"):
            done = self.service(command)
            self.assertEqual(done.returncode, 0, command)
            calls = self.calls()
            self.assertEqual(calls[-len(TRIGGERS) - len(INSTANCE) :], [*INSTANCE, *TRIGGERS], command)
            self.assertEqual([call for call in calls if "[check]" in call], ["failover [check]", CHECK_COPY], command)
            self.assertTrue(self.is_running())
            self.assertIn("interval 'soon'", done.stderr)
            self.assertIn("the last good configuration is run instead: /etc/failover/last-good.conf", done.stderr)
            self.assertEqual(len(self.logged()), 2, command)
            self.service("stop")
            self.calls()

    def test_a_copy_stops_no_daemon_that_runs(self) -> None:
        self.service("start")
        self.write(COPY, "config globals\n")
        self.program("check", BAD_BESIDE_COPY)
        self.calls()
        for command in ("start", "restart"):
            self.assertEqual(self.service(command).returncode, 78, command)
            self.assertEqual(self.calls(), ["failover [check]"], command)
            self.assertTrue(self.is_running())

    def test_a_bad_copy_is_refused_too_and_both_are_told(self) -> None:
        self.write(COPY, "config globals\n")
        self.program("check", f'case "$*" in *last-good*) echo "$2:2: old" >&2; exit 78 ;; esac; {BAD}')
        done = self.service("start")
        self.assertEqual(done.returncode, 78)
        self.assertEqual(self.calls(), ["failover [check]", CHECK_COPY, *TRIGGERS])
        self.assertIn("interval 'soon'", done.stderr)
        self.assertIn(":2: old", done.stderr)
        self.assertNotIn("instead", done.stderr)

    def test_a_disabled_one_stays_so_whatever_the_copy_says(self) -> None:
        self.write(COPY, "config globals\n")
        self.program("check", BAD_BESIDE_COPY)
        self.disable()
        self.assertEqual(self.service("start").returncode, 0)
        self.assertEqual(self.calls(), [CLEAN, *TRIGGERS])

    def test_where_none_runs_none_is_said_to_go_on(self) -> None:
        self.program("check", BAD)
        for command in ("start", "restart"):
            done = self.service(command)
            self.assertEqual(done.returncode, 78, command)
            self.assertNotIn("goes on", done.stderr)

    def test_restart_kills_and_starts_so_that_routes_and_marks_stay(self) -> None:
        self.service("start")
        self.calls()
        done = self.service("restart")
        self.assertEqual(done.returncode, 0)
        calls = self.calls()
        self.assertEqual(calls[1], KILL)
        self.assertEqual(calls[2], "procd_kill")
        self.assertEqual(calls[4:], [*INSTANCE, *TRIGGERS])

    def test_an_upgrade_without_a_stop_kills_the_old_program_only_if_a_new_one_can_start(self) -> None:
        self.service("start")
        self.calls()
        done = self.run_there("/etc/init.d/failover", "start", PKG_UPGRADE="1")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.calls(), ["failover [check]", KILL, *INSTANCE, *TRIGGERS])
        self.program("check", BAD)
        done = self.run_there("/etc/init.d/failover", "start", PKG_UPGRADE="1")
        self.assertEqual(done.returncode, 78)
        self.assertEqual(self.calls(), ["failover [check]"])
        self.assertTrue(self.is_running())

    def test_it_waits_until_procd_knows_that_a_killed_daemon_has_ended(self) -> None:
        """Before that, procd would start no other one at once."""
        ubus = self.read("bin/ubus").replace("rm -f /tmp/running", "touch /tmp/dying")
        # It is gone at the third question.
        dies = "[ ! -e /tmp/dying ] || { echo >>/tmp/dying; [ $(wc -l </tmp/dying) -lt 3 ] || rm /tmp/dying /tmp/running; }"
        ubus = ubus.replace('"call service list")', f'"call service list")\n\t{dies}')
        self.write("bin/ubus", ubus, 0o755)
        for command in ("restart", "start"):
            self.service("start")
            self.calls()
            opened = 'procd_open_instance() {\n\t[ -e /tmp/running ] && record still running'
            common = self.read("etc/rc.common").replace("procd_open_instance() {", opened)
            self.write("etc/rc.common", common, 0o755)
            self.run_there("/etc/init.d/failover", command, PKG_UPGRADE="1")
            self.assertNotIn("still [running]", self.calls(), command)

    def test_a_stop_for_an_upgrade_leaves_the_daemon_running_and_others_do_not(self) -> None:
        self.service("start")
        self.calls()
        done = self.run_there("/etc/init.d/failover", "stop", PKG_UPGRADE="1")
        self.assertEqual((done.returncode, self.calls()), (0, []))
        self.assertTrue(self.is_running())
        done = self.run_there("/etc/init.d/failover", "stop", PKG_UPGRADE="0")
        self.assertEqual((done.returncode, self.calls()), (0, ["procd_kill", CLEAN]))
        self.assertFalse(self.is_running())

    def test_a_restart_during_another_packages_upgrade_is_one(self) -> None:
        self.service("start")
        self.calls()
        self.run_there("/etc/init.d/failover", "restart", PKG_UPGRADE="1")
        calls = self.calls()
        self.assertEqual(calls[1:3], [KILL, "procd_kill"])
        self.assertIn(INSTANCE[1], calls)


class Launch(InitTest):
    """The command that procd runs, at the start and after each end."""

    def test_it_becomes_the_daemon(self) -> None:
        self.program("run", "exit 7")
        self.assertEqual(self.service("launch").returncode, 7)
        self.assertEqual(self.calls(), ["failover [run] [--last-good] [/etc/failover/last-good.conf]"])
        self.assertEqual(self.logged(), [])
        self.assertFalse((self.root / "tmp/locked").exists())

    def test_a_daemon_that_was_switched_off_is_not_run_again_but_taken_from_procd(self) -> None:
        self.service("start")
        self.disable()
        self.calls()
        self.assertEqual(self.service("launch").returncode, 0)
        clean, call = self.calls()
        self.assertEqual(clean, CLEAN)
        self.assertEqual(call, 'ubus [call] [service] [delete] [{ "name": "failover", "instance": "instance1" }]')
        (line,) = self.logged()
        self.assertIn("switched off by option enabled '0'", line)
        # It starts when it is enabled.
        self.write("etc/config/failover", "config globals\n")
        self.service("reload")
        self.assertTrue(self.is_running())


class Leavings(InitTest):
    """The routes and rules of a killed daemon that procd does not restart."""

    def input_of(self, *commands: str) -> list[str]:
        (self.root / "tmp/input").unlink(missing_ok=True)
        self.program("run", "cat >/tmp/input")
        for command in commands:
            self.assertEqual(self.service(command).returncode, 0)
        path = self.root / "tmp/input"
        return path.read_text().split() if path.exists() else []

    def test_they_go(self) -> None:
        self.assertEqual(self.input_of("stop"), ["config", "globals", "option", "enabled", "0"])
        self.disable()
        for command in ("start", "launch", "stop"):
            self.assertEqual(self.input_of(command), ["config", "globals", "option", "enabled", "0"], command)

    def test_a_restart_takes_them_over(self) -> None:
        self.assertEqual(self.input_of("restart"), [])

    def test_they_stay_where_a_clean_stop_leaves_them_too(self) -> None:
        text = self.read("etc/config/failover").replace("globals\n", "globals\n\toption on_stop 'keep'\n", 1)
        self.write("etc/config/failover", text)
        self.assertEqual(self.input_of("start", "stop"), [])
        self.write("etc/config/failover", text.replace("globals\n", "globals\n\toption enabled '0'\n", 1))
        self.assertEqual(self.input_of("start", "launch", "stop"), [])


class Reload(InitTest):
    def test_the_daemon_reloads_and_keeps_its_state(self) -> None:
        self.service("start")
        self.calls()
        self.assertEqual(self.service("reload").returncode, 0)
        self.assertEqual(self.calls(), ["failover [reload]"])

    def test_what_does_not_run_is_started(self) -> None:
        self.service("reload")
        self.assertEqual(self.calls(), ["failover [check]", *INSTANCE, *TRIGGERS])

    def test_switched_off_it_stops(self) -> None:
        self.service("start")
        self.assertTrue(self.is_running())
        self.disable()
        self.calls()
        self.assertEqual(self.service("reload").returncode, 0)
        self.assertEqual(self.calls(), [CLEAN, *TRIGGERS])
        self.assertFalse(self.is_running())

    def test_what_the_daemon_refuses_is_told_and_nothing_is_restarted(self) -> None:
        self.service("start")
        self.calls()
        self.program("reload", BAD)
        done = self.service("reload")
        self.assertEqual(done.returncode, 78)
        self.assertIn("interval 'soon'", done.stderr)
        self.assertEqual(self.calls(), ["failover [reload]"])
        self.assertTrue(self.is_running())


class Commands(InitTest):
    def test_status_check_and_use_are_the_programs(self) -> None:
        for command, code in (("status", 69), ("check", 78), ("use", 64)):
            self.program(command, f"echo 'from {command}'; exit {code}")
            done = self.service(command, "two words", "--json")
            self.assertEqual((done.returncode, done.stdout), (code, f"from {command}\n"))
            self.assertEqual(self.calls(), [f"failover [{command}] [two words] [--json]"])

    def test_newer_versions_of_rc_common_find_the_status_under_their_name(self) -> None:
        script = ". /lib/functions.sh; . /etc/init.d/failover; status_service --json"
        self.run_there("/bin/sh", "-c", script)
        self.assertEqual(self.calls(), ["failover [status] [--json]"])

    def test_help_has_each(self) -> None:
        text = self.service("help").stdout
        for command in ("status", "check", "use"):
            self.assertEqual(len(re.findall(rf"(?m)^\t{command}  ", text)), 1, command)


FIREWALL = """
config zone
	option name 'lan'
	list network 'lan'

config zone 'uplinks'
	option name 'wan'
	list network 'wan'
	list network 'wan6'
	list network 'own'
	list device 'eth7'
	list device 'pppoe-dsl'
	option masq '1'

config zone
	option name 'plain'
	option network 'lte lte6'

config zone 'off'
	option enabled '0'
"""
NETWORK = """
config interface 'lte6'
	option proto 'dhcpv6'

config interface 'lte'
	option proto 'dhcp'

config interface 'wan'
	option proto 'dhcp'

config interface 'own_4'
	option proto 'dhcp'

config interface 'line'
	option proto 'dhcp'
	option device 'eth7'

config interface 'dsl'
	option proto 'pppoe'
	option device 'eth8'

config interface 'tagged'
	option proto 'dhcp'
	option zone 'wan'
"""


class Check(InitTest):
    def warnings(self, providers: str) -> list[str]:
        self.write("etc/config/firewall", FIREWALL)
        self.write("etc/config/network", NETWORK)
        self.write("etc/config/failover", "config globals\n" + providers)
        done = self.service("check")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.logged(), [])
        return done.stderr.splitlines()

    def test_masqueraded_interfaces_are_fine(self) -> None:
        self.assertEqual(self.warnings("config provider 'isp1'\n\tlist interface 'wan'\n\tlist interface 'wan6'\n"), [])

    def test_an_interface_in_no_zone_is_warned_about(self) -> None:
        (line,) = self.warnings("config provider 'isp2'\n\toption interface 'wanb'\n")
        self.assertIn("interface 'wanb' of provider 'isp2' is in no firewall zone", line)
        self.assertIn("uci add_list firewall.uplinks.network='wanb'", line)

    def test_a_zone_that_does_not_masquerade_is_warned_about_in_ipv4(self) -> None:
        (line,) = self.warnings("config provider 'wan'\n\tlist interface 'lte'\n\tlist interface 'lte6'\n")
        self.assertIn("interface 'lte' of provider 'wan' is in a firewall zone that does not masquerade", line)

    def test_what_netifd_makes_by_itself_is_in_the_zone_of_its_interface(self) -> None:
        for name in ("wan_4", "wan_6", "wan6_4", "wan_6_4"):
            self.assertEqual(self.warnings(f"config provider 'isp1'\n\tlist interface '{name}'\n"), [], name)
        (line,) = self.warnings("config provider 'isp1'\n\tlist interface 'lte_4'\n")
        self.assertIn("is in a firewall zone that does not masquerade", line)
        # One of the configuration is in its own alone.
        (line,) = self.warnings("config provider 'isp1'\n\tlist interface 'own_4'\n")
        self.assertIn("is in no firewall zone", line)

    def test_a_zone_may_name_devices_and_an_interface_its_zone(self) -> None:
        for name in ("line", "dsl", "tagged"):
            self.assertEqual(self.warnings(f"config provider 'isp1'\n\tlist interface '{name}'\n"), [], name)

    def test_sections_of_the_same_name_are_told_apart(self) -> None:
        (line,) = self.warnings("config provider 'off'\n\tlist interface 'wanb'\n")
        self.assertIn("interface 'wanb' of provider 'off'", line)

    def test_a_provider_that_is_not_used_is_left_out(self) -> None:
        self.assertEqual(self.warnings("config provider 'isp2'\n\toption interface 'x'\n\toption enabled '0'\n"), [])

    def test_providers_by_device_are_left_out(self) -> None:
        self.assertEqual(self.warnings("config provider 'wan'\n\toption device 'eth9'\n"), [])

    def test_without_a_firewall_there_is_nothing_to_warn_of(self) -> None:
        done = self.service("check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class TwoMasters(InitTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("etc/init.d/mwan3", '#!/bin/sh\n[ "$1" = running ] && [ -e /tmp/mwan3 ]\n', 0o755)

    def test_a_running_mwan3_is_told_of(self) -> None:
        self.write("tmp/mwan3", "")
        for command in ("start", "check"):
            done = self.service(command)
            self.assertEqual(done.returncode, 0)
            self.assertIn("mwan3 is running: two masters", done.stderr)
            self.assertIn("failover import-mwan3", done.stderr)
        self.assertTrue(self.is_running())
        (line,) = self.logged()  # by start
        self.assertRegex(line, r"^<28>.*two masters")  # 28: daemon.warn

    def test_one_that_does_not_run_is_not(self) -> None:
        for command in ("start", "check"):
            self.assertEqual(self.service(command).stderr, "")


if __name__ == "__main__":
    unittest.main()
