"""Status → Failover on recorded answers: what it says in each state, by its text and roles."""

import json
import unittest

from pages import INVALID_ARGUMENT, NO_DATA, TILE, Given, PageTest, changed, lacking, many, recorded

EVIL = "<img src=x onerror=window.evil=1>"


class States(PageTest):
    def traffic(self) -> list[str]:
        return self.texts(".fo-family")

    def test_all_is_well(self) -> None:
        text = self.show(recorded("well"))
        first, second = self.traffic()
        self.assertTrue(first.startswith("IPv4\n→\nisp1") and second.startswith("IPv6\n→\nisp1"), first)
        self.assertIn("It carries ipv4: it is the first in the order that works.", first)
        for line in ("isp1", "isp2"):
            card = self.text(f"[data-key=line-{line}]")
            for told in ("Online", "Device", "192.0.2.", "2001:db8:", "fe80::", "ms", "loss 0 %", "1 of 1 checks answered"):
                self.assertIn(told, card)
            self.assertEqual(self.buttons(line), ["Use", "Disable", "Check now"])
        self.assertIn("carries IPv4", self.text("[data-key=line-isp1]"))
        self.assertNotIn("carries", self.text("[data-key=line-isp2]"))
        self.assertEqual(self.texts("[role=alert]"), [])
        self.assertIn("probing → online", text)

    def test_the_rounds_are_drawn_and_told(self) -> None:
        self.show(recorded("failed_over"))
        count = len(recorded("failed_over")["providers"][0]["paths"][0]["history"])
        lost = recorded("failed_over")["providers"][0]["paths"][0]["history"].count(None)
        of = "document.querySelector('[data-key=line-isp1] svg')"
        label = self.browser.run(f"{of}.getAttribute('aria-label')")
        self.assertRegex(label, rf"^Round trips of the last {count} rounds: 0\.\d+ ms to 0\.\d+ ms, {lost} lost$")
        self.assertEqual(self.browser.run(f"{of}.getAttribute('role')"), "img")
        self.assertEqual(self.browser.run(f"{of}.querySelectorAll('.fo-lost').length"), lost)
        # The line is interrupted where a round is lost.
        status = recorded("failed_over")
        status["providers"][0]["paths"][0]["history"] = [None, 1, 2, None, None, 3, None]
        self.show(status)
        self.assertEqual(self.browser.run(f"{of}.querySelector('.fo-line').getAttribute('d').split('M').length - 1"), 2)
        # The newest round is at the right edge.
        edge = f"Number({of}.lastChild.getAttribute('x')) + 3.5 >= {of}.viewBox.baseVal.width"
        self.assertTrue(self.browser.run(edge))

    def test_it_failed_over(self) -> None:
        self.show(recorded("failed_over"))
        self.assertTrue(all("→\nisp2" in told for told in self.traffic()))
        card = self.text("[data-key=line-isp1]")
        self.assertIn("Offline", card)
        self.assertIn("0 of 1 checks answered", card)
        rows = self.texts(".fo-journal tr")
        self.assertRegex(rows[1], r"isp2 IPv6\s+leads\s+isp1 is offline")
        self.browser.run("document.querySelector('[data-key=line-isp1] summary').click()")
        self.assertRegex(self.text("[data-key=line-isp1] .fo-checks"), r"four\s+ping 198.51.100.1\s+lost for \d s\s+\d")

    def test_a_line_is_pinned(self) -> None:
        text = self.show(recorded("pinned"))
        self.assertIn("isp1 is pinned: the daemon does not choose", text)
        self.assertEqual(self.buttons("isp1"), ["Let the daemon choose", "Disable", "Check now"])
        self.assertEqual(self.buttons("isp2"), ["Use", "Disable", "Check now"])
        for told in ("Not checked", "isp1 is pinned", "Checks, not asked now"):
            self.assertIn(told, self.text("[data-key=line-isp2]"))
        bridge = self.open(Given(recorded("pinned")))
        self.press("auto-")
        self.browser.until(lambda: ("use", {"provider": "auto"}) in bridge.calls)

    def test_a_line_is_disabled(self) -> None:
        self.show(recorded("disabled"))
        self.assertIn("Disabled", self.text("[data-key=line-isp1]"))
        self.assertEqual(self.buttons("isp1"), ["Enable", "Check now"])

    def test_one_that_the_configuration_disables_cannot_be_enabled_here(self) -> None:
        status = recorded("disabled")
        status["providers"][0]["disabled"] = False
        self.show(status)
        self.assertEqual(self.buttons("isp1"), ["Check now"])

    def test_nothing_works(self) -> None:
        self.show(recorded("nothing"))
        [four, six] = self.texts("[role=alert]")
        self.assertIn("No line works in IPv4", four)
        self.assertIn("No line works in IPv6", six)
        self.assertIn("Look at the modem", four)

    def test_a_family_that_no_line_has_is_no_failure(self) -> None:
        for reason in ("no address", "no gateway", "no carrier"):
            self.show(lacking("ipv6", reason=reason))
            self.assertEqual(self.texts("[role=alert]"), [])
            [told] = self.texts("[data-key=warnings] [role=status]")
            self.assertIn("None of your lines has IPv6.", told)
            self.assertIn("If your providers give none, delete its checks under Network → Failover.", told)
            self.assertEqual(self.texts("[data-key=family-ipv6] .fo-bad, [data-key=ipv6] .fo-bad"), [])
            self.assertIn("None of your lines has IPv6.", self.show(lacking("ipv6", reason=reason), TILE))
            self.assertNotIn("IPv6 is carried by no line", self.text(".fo-tile"))

    def test_what_may_be_a_failure_stays_one(self) -> None:
        several = lacking("ipv6", reason="no address: duplicate (DAD failed)"), lacking("ipv6", state="offline")
        one = lacking("ipv6")
        one["providers"][0]["paths"][1]["state"] = "offline"
        for status in (*several, one):
            self.show(status)
            self.assertIn("No line works in IPv6", self.text("[role=alert]"))
        # No cable: both families.
        self.show(lacking("ipv4", "ipv6", reason="no carrier"))
        self.assertEqual(len(self.texts("[role=alert]")), 2)

    def test_without_a_daemon_it_says_so_and_what_to_do(self) -> None:
        problem = f"/etc/config/failover:7: unknown option '{EVIL}' of provider"
        given = Given(NO_DATA, check={"valid": False, "problems": [problem, "/etc/config/failover:9: two"]})
        bridge = self.open(given)
        alert = self.text("[role=alert]")
        for told in ("daemon is not running", "System → Startup", "/etc/init.d/failover start", problem, "failover:9: two"):
            self.assertIn(told, alert)
        self.assertEqual(self.buttons(), [])
        self.browser.until(lambda: bridge.calls.count(("status", {})) > 2)
        self.assertEqual(bridge.calls.count(("check", {})), 1)
        # It goes on by itself.
        given.status = recorded("well")
        self.browser.until("document.querySelector('[data-key=line-isp1]')")
        self.assertEqual(self.texts("[role=alert]"), [])

    def test_other_troubles_are_told(self) -> None:
        for answer, told in ((4, "Install the package failover"), (7, "does not answer"), (6, "access to luci-app-failover")):
            self.assertIn(told, self.show(answer))
        self.assertIn("No contact with the router", self.show("the network is down"))

    def test_a_lost_router_leaves_what_was_known(self) -> None:
        given = Given(recorded("well"))
        self.open(given)
        given.status = "XHR request timed out"
        self.browser.until("document.body.innerText.includes('No contact with the router')")
        self.assertIn("isp1", self.text("[data-key=line-isp1]"))
        given.status = recorded("well")
        self.browser.until("!document.body.innerText.includes('No contact with the router')")

    def test_a_refused_configuration_is_told_line_by_line(self) -> None:
        cure = "edit /etc/config/failover, then `failover check`, `failover reload`"
        lines = ["/etc/config/failover:7: unknown option 'gatway'", "/etc/config/failover:9: interval: expected a duration"]
        warnings = [
            {"code": "config-refused", "provider": None, "text": f"{line}; {cure}", "cure": cure, "since_s": 9} for line in lines
        ]
        self.show(changed("well", warnings=warnings))
        [alert] = self.texts("[role=alert]")
        self.assertTrue(alert.startswith("The configuration is refused"), alert)
        self.assertEqual(self.texts("[role=alert] li"), lines)
        self.assertEqual(alert.count(cure), 1)

    def test_warnings_have_their_cure(self) -> None:
        cure = "sysctl -w net.ipv4.conf.eth1.rp_filter=2"
        what = "strict rp_filter on eth1 drops the replies to its probes"
        warnings = [
            {"code": "rp-filter", "provider": "isp1", "text": f"{what}; cure: {cure}", "cure": cure, "since_s": 3700},
            {"code": "overflow", "provider": None, "text": "7 addresses cannot be watched", "cure": None, "since_s": 0},
        ]
        self.show(changed("well", warnings=warnings))
        one, two = self.texts("[data-key=warnings] [role=status]")
        self.assertEqual(one.split("\n\n") if "\n\n" in one else one.split("\n"), [f"isp1: {what}", f"What to do: {cure}", "for 1 h 1 min"])
        self.assertIn("7 addresses cannot be watched", two)

    def test_warnings_of_the_firewall_are_asked_for_once(self) -> None:
        what = "interface 'wan' of provider 'isp1' is in no firewall zone: the LAN has no Internet through it."
        cure = "uci add_list firewall.@zone[1].network='wan'; uci commit firewall; /etc/init.d/firewall reload"
        problems = [f"warning: {what} To add it to the zone that does: {cure}", "/etc/config/failover:7: warning: odd"]
        given = Given(recorded("well"), check={"valid": True, "problems": problems})
        bridge = self.open(given)
        self.browser.until("document.querySelector('[data-key=warnings] .fo-alert')")
        [told] = self.texts("[data-key=warnings] [role=status]")
        self.assertEqual([line for line in told.split("\n") if line], [what, f"What to do: {cure}"])
        self.browser.until(lambda: bridge.calls.count(("status", {})) > 2)
        self.assertEqual([call for call in bridge.calls if call[0] != "status"], [("check", {})])
        # Without a daemon it is asked anew.
        given.status = NO_DATA
        self.browser.until(lambda: bridge.calls.count(("check", {})) == 2)

    def test_another_program_carries_the_traffic(self) -> None:
        route = {"device": "wg0", "metric": 0, "table": 254}
        self.show(changed("well", overridden_by={"ipv4": route, "ipv6": None}))
        self.assertTrue(self.traffic()[0].startswith("IPv4\n→\nwg0"), self.traffic())

    def test_nobody_is_configured(self) -> None:
        self.assertIn("Failover is not set up yet", self.show(changed("well", providers=[])))
        self.assert_leads_to_the_configuration()

    def assert_leads_to_the_configuration(self) -> None:
        [link] = self.browser.run("Array.from(document.querySelectorAll('.fo-alert a'), (one) => [ one.innerText, one.href ])")
        self.assertEqual(link[0], "Network → Failover")
        self.assertTrue(link[1].endswith("/cgi-bin/luci/admin/network/failover"), link)

    def test_a_daemon_that_has_nothing_to_do_is_no_failure(self) -> None:
        nothing = [f"/etc/config/failover:1: warning: no {kind}: expected at least one" for kind in ("check", "provider")]
        sections = [{".type": "globals", ".name": "globals", "enabled": "off"}]
        uci = {"sections": sections}
        for given, title in (
            (Given(NO_DATA, check={"valid": True, "problems": nothing}), "Failover is not set up yet"),
            (Given(NO_DATA, check={"valid": True, "problems": nothing}, **{"uci-load": uci}), "Failover is not set up yet"),
            (Given(NO_DATA, check={"valid": True, "problems": []}, **{"uci-load": uci}), "Failover is switched off"),
        ):
            bridge = self.open(given)
            self.assertEqual(self.text(".fo-alert").split("\n")[0], title)
            self.assertEqual(self.texts("[role=alert]"), [])
            self.assert_leads_to_the_configuration()
            self.browser.until(lambda bridge=bridge: bridge.calls.count(("status", {})) > 2)
            self.assertEqual(len([call for call in bridge.calls if call[0] != "status"]), 2)
        # A refused one, or one that should run, is.
        for problem, uci in ((f"{nothing[1]}, or not", {}), ("/etc/config/failover:7: unknown option", {})):
            self.open(Given(NO_DATA, check={"valid": False, "problems": [problem.replace("warning: ", "")]}, **{"uci-load": uci}))
            self.assertIn("daemon is not running", self.text("[role=alert]"))

    def test_it_is_told_whose_problems_these_are(self) -> None:
        for staged in (True, False):
            self.open(Given(NO_DATA, check={"valid": False, "problems": ["/etc/config/failover:7: bad"], "staged": staged}))
            self.assertEqual("The unsaved changes have problems:" in self.text("[role=alert]"), staged)

    def test_sixty_four_lines(self) -> None:
        self.show(many(64))
        self.assertEqual(len(self.texts("article")), 64)
        self.browser.size(360, 800)
        self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"), 360)

    def test_a_viewer_has_no_button_that_acts(self) -> None:
        for state in ("well", "pinned", "disabled"):
            self.show(recorded(state), readonly=True)
            buttons = [name for name in self.buttons() if not name.startswith("Show all")]
            self.assertEqual(buttons, ["Count connections"], state)

    def test_texts_are_texts(self) -> None:
        status = recorded("well")
        path = status["providers"][0]["paths"][0]
        path.update(reason=EVIL, device=EVIL, address=EVIL, gateway=EVIL, family="ipv4")
        path["checks"][0].update(name=EVIL, type=EVIL, target=EVIL, state=EVIL)
        status["providers"][0].update(id=EVIL, state=EVIL)
        status["providers"][0]["explained"][0].update(why=EVIL, change=EVIL)
        status["active"]["ipv4"] = status["pinned"] = EVIL
        status["warnings"] = [
            {"code": code, "provider": EVIL, "text": EVIL, "cure": EVIL, "since_s": 1} for code in ("config-refused", "config")
        ]
        status["journal"][0] = dict.fromkeys(status["journal"][0], EVIL)
        given = Given(status, probe={"good": True, "lines": [EVIL]}, use=EVIL, check={"problems": [EVIL]})
        self.open(given)
        for button in self.browser.run("Array.from(document.querySelectorAll('#view button'), (one) => one.dataset.key)"):
            self.press(button)
        self.browser.until(f"document.querySelector('.fo-answers').innerText.includes({json.dumps(EVIL)})")
        self.assertGreater(self.text().count(EVIL), 12)
        self.assertEqual(self.browser.run("document.images.length"), 0)
        self.assertIsNone(self.browser.run("window.evil"))
        self.assertIn(EVIL, self.show(status, "view.status.include.35_failover"))
        self.assertEqual(self.browser.run("document.images.length"), 0)


class Acting(PageTest):
    def test_buttons_do_what_they_say(self) -> None:
        for state, key, call in (
            ("well", "use-isp2", ("use", {"provider": "isp2"})),
            ("well", "disable-isp1", ("disable", {"provider": "isp1"})),
            ("disabled", "enable-isp1", ("enable", {"provider": "isp1"})),
            ("pinned", "auto-isp1", ("use", {"provider": "auto"})),
        ):
            bridge = self.open(Given(recorded(state)))
            self.press(key)
            if key.startswith("use-"):
                self.say_yes()
            self.browser.until(lambda bridge=bridge, call=call: call in bridge.calls, f"{call}")

    def test_a_pin_is_asked_first_and_told_what_it_is(self) -> None:
        for state, works in (("well", True), ("failed_over", False)):
            bridge = self.open(Given(recorded(state)))
            self.press("use-isp1")
            question = self.text("[role=dialog]")
            self.assertIn("All traffic leaves by isp1, even if it fails: no line is checked meanwhile. To prefer it for good, "
                          "drag it to the top under Network → Failover.", question)
            self.assertEqual("isp1 does not work now." in question, not works)
            self.assertFalse([call for call in bridge.calls if call[0] == "use"])

    def test_what_may_stop_traffic_is_asked_first(self) -> None:
        for state, key, call in (
            ("failed_over", "use-isp1", ("use", {"provider": "isp1"})),
            ("failed_over", "disable-isp2", ("disable", {"provider": "isp2"})),
        ):
            bridge = self.open(Given(recorded(state)))
            self.press(key)
            self.assertIn("Are you sure?", self.text("[role=dialog]"))
            self.browser.run("document.querySelector('[role=dialog] button').click()")
            self.assertFalse(self.browser.run("document.querySelector('[role=dialog]') != null"))
            self.press(key)
            self.say_yes()
            self.browser.until(lambda bridge=bridge, call=call: call in bridge.calls, f"{call}")
            self.assertEqual(bridge.calls.count(call), 1)

    def test_a_refusal_is_told(self) -> None:
        self.open(Given(recorded("well"), use=INVALID_ARGUMENT))
        self.press("use-isp2")
        self.say_yes()
        self.browser.until("document.body.innerText.includes('That did not work')")
        self.assertIn("Status → System Log says why.", self.browser.run("document.body.innerText"))

    def test_answers_to_checks_come_one_by_one(self) -> None:
        calls = []

        def probe(arguments: dict) -> dict:
            calls.append(arguments)
            good = arguments["check"] == "four"
            return {"good": good, "lines": [f"{arguments['check']}: {'answered' if good else 'unanswered'}"]}

        self.open(Given(recorded("well"), probe=probe))
        self.press("probe-isp1")
        self.browser.until("document.querySelector('.fo-answers').innerText.includes('six: unanswered')")
        self.assertEqual(calls, [{"provider": "isp1", "check": name} for name in ("four", "six")])
        self.assertEqual(len(self.texts(".fo-answers .fo-good")), 1)
        self.assertEqual(len(self.texts(".fo-answers .fo-bad")), 1)

    def test_connections_are_counted_on_demand(self) -> None:
        status = recorded("well")
        for provider in status["providers"]:
            provider["connections"] = {"ipv4": 212, "ipv6": 3}
        bridge = self.open(Given(recorded("well"), connections=status))
        self.assertNotIn("Connections at", self.text())
        self.press("count-")
        self.browser.until("/Connections at .*M: 212 in IPv4, 3 in IPv6/.test(document.body.innerText)")
        self.assertEqual(bridge.calls.count(("connections", {})), 1)


class Live(PageTest):
    """How the page lives: one call every two seconds, none while it is hidden, and nothing is lost in between."""

    def calls(self, bridge: object, seconds: int) -> list:
        bridge.calls.clear()
        self.browser.run(f"new Promise((done) => setTimeout(done, {seconds * 1000}))")
        return list(bridge.calls)

    def test_one_call_every_two_seconds_and_none_while_hidden(self) -> None:
        bridge = self.open(Given(recorded("well")))
        calls = self.calls(bridge, 6)
        self.assertEqual(set(map(str, calls)), {"('status', {})"})
        self.assertLessEqual(len(calls), 4)
        self.assertGreaterEqual(len(calls), 1)
        hide = "Object.defineProperty(document, 'hidden', { configurable: true, value: %s }); document.dispatchEvent(new Event('visibilitychange'))"
        self.browser.run(hide % "true")
        self.browser.until(lambda: not self.calls(bridge, 3))
        self.browser.run(hide % "false")
        self.browser.until(lambda: bridge.calls, "a call at once")

    def test_what_is_unfolded_chosen_and_focused_stays(self) -> None:
        given = Given(recorded("well"))
        bridge = self.open(given)
        self.browser.run("document.querySelector('[data-key=line-isp2] summary').click()")
        self.browser.run("document.querySelector('[data-key=use-isp2]').focus()")
        self.browser.run("window.card = document.querySelector('[data-key=line-isp2]')")
        given.status = recorded("failed_over")
        self.browser.until("document.querySelector('.fo-family').innerText.includes('isp2')")
        self.assertTrue(self.browser.run("document.querySelector('[data-key=line-isp2] details').open"))
        self.assertEqual(self.browser.run("document.activeElement.dataset.key"), "use-isp2")
        self.assertTrue(self.browser.run("window.card === document.querySelector('[data-key=line-isp2]')"))
        # A line that is gone goes, one that is new comes, and the others stay.
        given.status = many(3)
        self.browser.until("document.querySelector('[data-key=line-isp3]')")
        status = many(3)
        status["providers"].reverse()
        given.status = status
        self.browser.until("document.querySelector('article').dataset.key == 'line-isp3'")
        self.assertTrue(self.browser.run("window.card === document.querySelectorAll('article')[1]"))
        self.assertTrue(bridge.calls)

    def test_the_journal_is_filtered_and_goes_on(self) -> None:
        given = Given(recorded("nothing"))
        self.open(given)
        choose = "(() => { const box = document.querySelector('select'); box.value = %s; box.dispatchEvent(new Event('change')); })()"
        self.browser.run(choose % "'isp2'")
        rows = self.texts(".fo-journal tr:not(.table-titles)")
        self.assertTrue(rows and all("isp2" in row for row in rows), rows)
        status = recorded("nothing")
        status["journal"].insert(0, {"time": "2026-01-01T00:00:00Z", "provider": "isp2", "family": None, "kind": "new", "cause": "first"})
        given.status = status
        self.browser.until("document.querySelector('.fo-journal').innerText.includes('first')")
        self.assertEqual(self.browser.run("document.querySelector('select').value"), "isp2")
        self.browser.run(choose % "'-'")
        self.assertIn("started", self.text(".fo-journal"))
        self.assertNotIn("isp2 IPv4", self.text(".fo-journal"))
        self.browser.run(choose % "''")
        shown = len(self.texts(".fo-journal tr"))
        self.press("whole")
        self.assertEqual(len(self.texts(".fo-journal tr")), len(status["journal"]) + 1)
        self.assertLess(shown, len(status["journal"]))


class Tile(PageTest):
    tile = "view.status.include.35_failover"

    def test_a_line_per_family_and_a_badge_per_line(self) -> None:
        self.show(recorded("failed_over"), self.tile)
        text = self.text(".fo-tile")
        self.assertIn("IPv4 leaves by isp2", text)
        self.assertIn("IPv6 leaves by isp2", text)
        self.assertEqual([badge.split() for badge in self.texts(".ifacebadge")], [["isp1", "Offline"], ["isp2", "Online"]])
        self.assertIn("/cgi-bin/luci/admin/status/failover", self.browser.run("document.querySelector('.fo-tile a').href"))

    def test_what_is_wrong_is_told(self) -> None:
        self.assertIn("leaves by isp1, which does not work", self.show(recorded("nothing"), self.tile))
        self.assertIn("is carried by no line", self.show(changed("well", active={"ipv4": None, "ipv6": "isp1"}), self.tile))
        route = {"device": "wg0", "metric": 0, "table": 254}
        overridden = changed("well", overridden_by={"ipv4": route, "ipv6": None})
        self.assertIn("leaves by wg0, by a route of another program", self.show(overridden, self.tile))
        stopped = self.show(NO_DATA, self.tile)
        for told in ("is not running", "Is it set up under Network → Failover?", "System → Startup"):
            self.assertIn(told, stopped)
        self.assertEqual(self.show("Access denied", self.tile), "")


if __name__ == "__main__":
    unittest.main()
