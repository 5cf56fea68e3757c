"""The plugin of rpcd, called as by rpcd: `list`, and `call METHOD` with the arguments as JSON on its input."""

import json
import unittest

from router import FILES, RouterTest

PLUGIN = "/usr/libexec/rpcd/failover"
SESSION = "0123456789abcdef" * 2
NO_DAEMON = "echo 'no daemon is running' >&2; exit 69"


class RpcdTest(RouterTest):
    def call(self, method: str, arguments: str = "{}") -> str:
        done = self.run_there(PLUGIN, "call", method, input=arguments)
        self.assertEqual(done.stderr, "")
        return done.stdout  # rpcd does not look at how it ends

    def assert_refused(self, output: str) -> None:
        """Asserts the output for which rpcd returns "Invalid argument": JSON, but no object."""
        self.assertNotIsInstance(json.loads(output), dict)


class Interface(RpcdTest):
    def methods(self) -> dict[str, dict[str, str]]:
        return json.loads(self.run_there(PLUGIN, "list").stdout)

    def test_the_methods_and_their_arguments_are_listed(self) -> None:
        nothing, provider = {}, {"provider": "str"}
        self.assertEqual(
            self.methods(),
            {"status": nothing, "connections": nothing, "metrics": nothing, "log": nothing, "check": nothing, "reload": nothing, "propose": nothing}
            | {"use": provider, "disable": provider, "enable": provider, "probe": provider | {"check": "str"}},
        )

    def test_rights_are_given_for_each_method_once_and_changes_are_writing(self) -> None:
        rights = json.loads((FILES / "failover.acl.json").read_text())["failover"]
        read, write = (rights[kind]["ubus"]["failover"] for kind in ("read", "write"))
        self.assertCountEqual(read + write, self.methods())
        self.assertCountEqual(read, ["status", "connections", "metrics", "log", "check", "propose"])


class Reading(RpcdTest):
    def test_status_is_the_programs(self) -> None:
        self.program("status", """echo '{"version":"1","pinned":null}'""")
        self.assertEqual(json.loads(self.call("status")), {"version": "1", "pinned": None})
        self.assertEqual(self.calls(), ["failover [status] [--page]"])
        self.assertEqual(json.loads(self.call("connections")), {"version": "1", "pinned": None})
        self.assertEqual(self.calls(), ["failover [status] [--json] [--connections]"])

    def test_status_takes_one_process(self) -> None:
        self.program("status", "echo '{}'")
        (self.root / "usr/share/libubox/jshn.sh").unlink()
        self.assertEqual(json.loads(self.call("status")), {})

    def test_the_metrics_are_the_programs_as_one_text(self) -> None:
        text = 'a{b="c\\\\d \\"e\\""} 1\n# HELP f 10 % of $g `h`\n'
        self.write("tmp/metrics", text)
        self.program("metrics", "cat /tmp/metrics")
        self.assertEqual(json.loads(self.call("metrics")), {"text": text})
        self.assertEqual(self.calls(), ["failover [metrics]"])
        # More than a variable of the environment can hold.
        long = "".join(f'failover_path_active{{provider="isp{n}"}} 1\n' for n in range(8000))
        self.write("tmp/metrics", long)
        self.assertEqual(json.loads(self.call("metrics")), {"text": long})

    def test_the_log_has_an_entry_a_line(self) -> None:
        self.program("log", r"""printf '%s\n' 'isp1  online → offline' 'a "quoted" \ line'""")
        self.assertEqual(json.loads(self.call("log")), {"entries": ["isp1  online → offline", 'a "quoted" \\ line']})
        self.program("log", ":")
        self.assertEqual(json.loads(self.call("log")), {"entries": []})

    def test_check_tells_the_problems_and_whether_they_are_errors(self) -> None:
        self.program("check", "echo 'all is fine'")
        self.assertEqual(json.loads(self.call("check")), {"valid": True, "problems": []})
        self.program("check", "echo 'f:1: warning: one' >&2; echo fine")
        self.assertEqual(json.loads(self.call("check")), {"valid": True, "problems": ["f:1: warning: one"]})
        self.program("check", "echo 'f:1: one' >&2; echo 'f:2: two' >&2; exit 78")
        self.assertEqual(json.loads(self.call("check")), {"valid": False, "problems": ["f:1: one", "f:2: two"]})

    def test_check_tells_what_the_firewall_lacks(self) -> None:
        self.write("etc/config/firewall", "config zone\n\toption name 'lan'\n\tlist network 'lan'\n")
        self.write("etc/config/failover", "config provider 'isp1'\n\tlist interface 'wanb'\n")
        answer = json.loads(self.call("check"))
        self.assertTrue(answer["valid"])
        self.assertIn("'wanb'", answer["problems"][0])

    def staged(self, text: str, session: str = SESSION) -> dict:
        """The answer to one in whose session this is staged."""
        self.write(f"var/run/rpcd/uci-{session}/failover", text)
        return json.loads(self.call("check", json.dumps({"ubus_rpc_session": session})))

    def test_what_is_staged_is_checked_and_each_problem_has_its_place(self) -> None:
        self.write("etc/config/failover", "config provider 'isp1'\n")
        self.write("etc/config/firewall", "config zone\n\toption name 'lan'\n\tlist network 'lan'\n")
        text = "config globals\n\toption down '0'\n\nconfig provider 'isp2'\n\tlist interface 'wanb'\n\tlist gateway 'x'\n"
        told = ["2: two", "4: four", "6: six", "9: nine"]
        self.program("check", "cat \"$3\" >/tmp/checked\n" + "".join(f'echo "$3:{one}" >&2\n' for one in told) + "exit 78")
        answer = self.staged(text)
        self.assertEqual(self.read("tmp/checked"), text)
        self.assertFalse(answer["valid"])
        self.assertEqual(answer["problems"][:4], [f"/etc/config/failover:{one}" for one in told])
        # The last of the program's is at no line that there is.
        self.assertEqual(answer["places"], ["cfg1.down", "isp2.", "isp2.gateway", ".", "isp2.interface"])
        self.assertIn("'wanb'", answer["problems"][4])
        self.assertEqual([path.name for path in (self.root / "tmp").glob("tmp.*")], [])
        self.program("check", "echo fine")
        good = {"valid": True, "problems": [], "staged": True, "places": []}
        self.assertEqual(self.staged("config provider 'isp3'\n"), good)

    def test_only_a_sessions_own_changes_are_checked(self) -> None:
        self.program("check", "echo \"$*:1: one\" >&2")
        for session in ("../uci-" + SESSION[7:], SESSION[1:], SESSION.upper(), "*" * 32, ""):
            answer = self.staged("config provider 'isp3'\n", session)
            self.assertEqual(answer, {"valid": True, "problems": ["check:1: one"]}, session)
        # Nothing is staged, or not any more: of the file.
        self.write("etc/config/failover", "config provider 'isp1'\n")
        expected = {"valid": True, "problems": ["check:1: one"], "staged": False, "places": ["isp1."]}
        self.assertEqual(json.loads(self.call("check", json.dumps({"ubus_rpc_session": "0" * 32}))), expected)
        self.assertEqual(self.staged(""), expected)

    def test_providers_are_proposed_as_on_first_install(self) -> None:
        self.assertEqual(json.loads(self.call("propose")), {"providers": []})
        interface = "config interface '{}'\n\toption proto 'dhcp{}'\n\toption device '{}'\n"
        network = "".join(interface.format(*one) for one in (("wan", "", "eth0"), ("wanb", "", "eth1"), ("wan6", "v6", "eth0")))
        self.write("etc/config/network", network)
        before = self.read("etc/config/failover")
        proposed = [{"id": "wan", "interface": ["wan", "wan6"]}, {"id": "wanb", "interface": ["wanb"]}]
        self.assertEqual(json.loads(self.call("propose")), {"providers": proposed})
        self.assertEqual(self.read("etc/config/failover"), before)
        self.assertEqual(self.calls(), [])

    def test_without_a_daemon_there_is_no_answer(self) -> None:
        for method in ("status", "connections", "metrics", "log"):
            self.program("status" if method == "connections" else method, NO_DAEMON)
            self.assertEqual(self.call(method), "", method)


class Acting(RpcdTest):
    def test_what_is_done_is_told(self) -> None:
        for method in ("use", "disable", "enable"):
            self.program(method, "echo 'it is done'")
            self.assertEqual(json.loads(self.call(method, '{"provider": "isp_2"}')), {"message": "it is done"})
            self.assertEqual(self.calls(), [f"failover [{method}] [isp_2]"])
        self.program("reload", "echo 'the configuration is loaded'")
        self.assertEqual(json.loads(self.call("reload")), {"message": "the configuration is loaded"})

    def test_a_probe_tells_its_answers_and_whether_they_are_good(self) -> None:
        self.program("probe", "echo 'ipv4 ping 192.0.2.1: 12 ms'")
        answer = {"good": True, "lines": ["ipv4 ping 192.0.2.1: 12 ms"]}
        self.assertEqual(json.loads(self.call("probe", '{"provider": "isp1", "check": "one"}')), answer)
        self.assertEqual(self.calls(), ["failover [probe] [isp1] [one]"])
        self.program("probe", "echo 'no answer'; exit 1")
        self.assertEqual(json.loads(self.call("probe", '{"provider": "isp1"}')), {"good": False, "lines": ["no answer"]})
        self.assertEqual(self.calls(), ["failover [probe] [isp1]"])
        self.program("probe", "echo 'no such check' >&2; exit 64")
        self.assert_refused(self.call("probe", '{"provider": "isp1", "check": "nine"}'))
        self.calls()
        for check in ("-c", "a b", "../x"):
            self.assert_refused(self.call("probe", json.dumps({"provider": "isp1", "check": check})))
            self.assertEqual(self.calls(), [])

    def test_what_the_program_refuses_is_refused_and_logged(self) -> None:
        self.program("use", "echo \"no provider is called 'isp9'\" >&2; exit 64")
        self.assert_refused(self.call("use", '{"provider": "isp9"}'))
        (line,) = self.logged()
        self.assertIn("ubus call failover use: no provider is called 'isp9'", line)
        self.program("reload", "echo 'f:1: bad' >&2; exit 78")
        self.assert_refused(self.call("reload"))

    def test_without_a_daemon_there_is_no_answer(self) -> None:
        for method in ("use", "disable", "enable", "reload"):
            self.program(method, NO_DAEMON)
            self.assertEqual(self.call(method, '{"provider": "isp1"}'), "", method)

    def test_a_daemon_of_another_version_is_no_silence(self) -> None:
        self.program("reload", "echo 'version 6 met version 7: daemon and command are of different versions.' >&2; exit 69")
        self.assert_refused(self.call("reload"))
        (line,) = self.logged()
        self.assertIn("different versions", line)

    def test_what_is_no_id_never_reaches_the_program(self) -> None:
        hostile = ["", "--config=/tmp/x", "-h", "isp1;reboot", "$(reboot)", "`reboot`", "isp1 isp2", "../x", "a\nb"]
        values = [json.dumps({"provider": text}) for text in hostile]
        values += ['{"provider": {"a": 1}}', '{"provider": ["isp1"]}', '{"other": "isp1"}', "{}", "[]", "", "{", "x"]
        for arguments in values:
            with self.subTest(arguments):
                self.assert_refused(self.call("use", arguments))
                self.assertEqual(self.calls(), [])
                self.assertIn("no id of a provider", self.logged()[0])

    def test_an_unknown_method_is_refused(self) -> None:
        self.assert_refused(self.call("reboot"))
        self.assertEqual(self.calls(), [])


if __name__ == "__main__":
    unittest.main()
