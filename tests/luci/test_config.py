"""Network → Failover: each option, the order, what the daemon says at its field, the wizard, and a user who only looks."""

import json
import re
import unittest

from bridge import ROOT
from pages import CONFIG, NO_DATA, Given, PageTest, lacking, recorded

EVIL = "<img src=x onerror=window.evil=1>"
SESSION = "0123456789abcdef" * 2
TABLE = ROOT / "openwrt/luci-app-failover/htdocs/luci-static/resources/failover/options.js"
GOOD = {"valid": True, "problems": [], "places": [], "staged": False}


def section(kind: str, name: str, **options: object) -> dict:
    return {".type": kind, ".name": name, **options}


def usual() -> list[dict]:
    return [
        section("globals", "globals", enabled="1"),
        section("provider", "isp1", interface=["wan"]),
        section("provider", "isp2", interface=["wanb"]),
        section("check", "four", type="ping", target="198.51.100.1"),
        section("check", "names", type="dns", target="198.51.100.2", query="example.com"),
    ]


def table() -> dict[str, list[dict]]:
    """The options by group: names, presets that are no texts to translate, and helps."""
    groups: dict[str, list[dict]] = {}
    for line in TABLE.read_text().splitlines():
        if begin := re.match(r"\t(\w+): \[$", line):
            options = groups[begin[1]] = []
        elif one := re.match(r"\t\t\{ name: '(\w+)', type: '(\w+)'.* help: _\('(.*)'\) \},?$", line):
            preset = re.search(r" preset: '([^']*)'", line)
            options.append({"name": one[1], "type": one[2], "preset": preset and preset[1], "help": one[3].replace("\\'", "'")})
    return groups


class Router(Given):
    """Holds a configuration, what is staged of it, and what its daemon says to it."""

    def __init__(self, sections: list[dict], checked: object = None, status: object = None, **answers: object) -> None:
        super().__init__(recorded("well") if status is None else status, **answers)
        self.sections, self.staged, self.checked, self.applied = sections, None, checked or GOOD, 0

    def __call__(self, method: str, arguments: dict) -> object:
        match method:
            case "uci-load":
                return {"sections": self.staged or self.sections}
            case "uci-save":
                self.staged = arguments["sections"]
                return {}
            case "uci-apply":
                self.sections, self.staged = self.staged or self.sections, None
                self.applied += 1
                return {}
            case "check":
                return self.checked | {"staged": self.staged is not None} if isinstance(self.checked, dict) else self.checked
        return super().__call__(method, arguments)

    def of(self, name: str) -> dict:
        """The options of a staged section."""
        [found] = [one for one in self.staged if one[".name"] == name]
        return {key: value for key, value in found.items() if key[0] != "."}

    def names(self, kind: str) -> list[str]:
        return [one[".name"] for one in self.staged if one[".type"] == kind]


class ConfigTest(PageTest):
    def open_with(self, router: Router, **settings: object) -> Router:
        networks = {"networks": ["lan", "wan", "wan6", "wanb"], "devices": ["eth0", "eth1"]}
        self.bridge = self.open(router, CONFIG, **networks | settings)
        return router

    def edit(self, name: str) -> None:
        self.browser.run(f"document.querySelector('[data-sid={name}] .cbi-button-edit').click()")
        self.browser.until("document.querySelector('.modal .cbi-value')", f"the dialog of {name}")

    def type(self, name: str, option: str, value: str) -> None:
        place = json.dumps(f"widget.cbid.failover.{name}.{option}")
        self.browser.run(
            f"(() => {{ const field = document.getElementById({place}); field.value = {json.dumps(value)};"
            " field.dispatchEvent(new Event('change', { bubbles: true })); })()"
        )

    def save_dialog(self) -> None:
        self.browser.run("document.querySelector('.modal .cbi-button-positive').click()")
        self.browser.until("!document.querySelector('.modal')", "the dialog is closed")

    def drag(self, name: str, to: str) -> None:
        self.browser.run(
            f"document.querySelector('[data-sid={name}] .drag-handle').dispatchEvent(new DragEvent('dragstart'));"
            f"document.querySelector('[data-sid={to}]').dispatchEvent(new DragEvent('drop'))"
        )

    def field(self, option: str, within: str = "#view") -> dict:
        return self.browser.run(
            f"((node) => node && {{ text: node.innerText, hidden: node.classList.contains('hidden'),"
            " placeholder: (node.querySelector('input') || {}).placeholder,"
            " empty: (node.querySelector('option[value=\"\"]') || {}).textContent })"
            f"(document.querySelector('{within} [data-name={option}]'))"
        )

    def apply(self, router: Router) -> None:
        """Applies all, after which the page is loaded again."""
        self.browser.run("window.before = true")
        self.press("Save & Apply")
        self.browser.until(lambda: router.applied == 1)
        self.browser.until("!window.before && typeof test != 'undefined' && test.ready", "the page is loaded again")

    def press_and_wait(self, key: str) -> None:
        self.press(key)
        self.browser.until(f"!document.querySelector('#view [data-key={json.dumps(key)}].spinning')", key)


class Options(ConfigTest):
    def assert_shown(self, group: str, within: str) -> None:
        for option in table()[group]:
            shown = self.field(option["name"], within)
            self.assertIsNotNone(shown, f"{group} {option['name']}")
            self.assertIn(option["name"], shown["text"])
            if option["name"] != "port":
                self.assertIn(option["help"], shown["text"])
            if option["preset"] and option["type"] in ("choice",):
                known = {"normal": "Normal"}.get(option["preset"], option["preset"])
                self.assertEqual(shown["empty"], f"{known} (default)")
            elif option["name"] == "port":
                self.assertEqual(shown["placeholder"], "dns: 53, http: 80")
            elif option["preset"] and option["type"] != "bool":
                self.assertEqual(shown["placeholder"], option["preset"])

    def test_every_option_is_there_with_its_default_and_meaning(self) -> None:
        self.assertGreater(sum(map(len, table().values())), 60)
        self.assertEqual(set(table()), {"GLOBALS", "PROFILE", "PROVIDER", "TIMING", "QUALITY", "CHECK", "PING", "TCP", "DNS", "HTTP", "EXEC"})
        self.open_with(Router(usual()))
        for group in ("GLOBALS", "PROFILE", "TIMING", "QUALITY"):
            self.assert_shown(group, "#view")
        self.edit("isp1")
        for group in ("PROVIDER", "PROFILE", "TIMING", "QUALITY"):
            self.assert_shown(group, ".modal")
        self.browser.run("ui.hideModal()")
        for kind in ("PING", "TCP", "DNS", "HTTP", "EXEC"):
            sections = usual()
            sections[3]["type"] = kind.lower()
            self.open_with(Router(sections))
            self.edit("four")
            self.assert_shown("CHECK", ".modal")
            self.assert_shown(kind, ".modal")
            own = {option["name"] for option in table()[kind]}
            for group in ("PING", "TCP", "DNS", "HTTP", "EXEC"):
                for option in table()[group]:
                    self.assertEqual(self.field(option["name"], ".modal")["hidden"], option["name"] not in own, option["name"])

    def test_a_default_is_that_of_the_profile_and_of_all_lines(self) -> None:
        sections = usual()
        sections[0] |= {"interval": "2s", "profile": "fast", "max_loss": "9"}
        sections[2]["profile"] = "metered"
        self.open_with(Router(sections))
        self.edit("isp1")
        told = {option: self.field(option, ".modal")["placeholder"] for option in ("interval", "timeout", "max_loss")}
        self.assertEqual(told, {"interval": "2s", "timeout": "300ms", "max_loss": "9"})
        self.assertEqual(self.field("profile", ".modal")["empty"], "Notice within a second (default)")
        self.browser.run("ui.hideModal()")
        self.edit("isp2")
        told = {option: self.field(option, ".modal")["placeholder"] for option in ("interval", "timeout", "connections")}
        self.assertEqual(told, {"interval": "30s", "timeout": "3s", "connections": "follow"})

    def test_what_is_typed_is_staged_and_nothing_else(self) -> None:
        sections = usual()
        sections[1]["enabled"] = "off"
        sections[2]["masquerade"] = "yes"
        router = self.open_with(Router(sections))
        self.edit("isp1")
        self.type("isp1", "gateway", "192.0.2.1 fe80::1")
        self.type("isp1", "down", "5")
        self.save_dialog()
        self.assertEqual(router.of("isp1"), {"interface": ["wan"], "enabled": "0", "gateway": ["192.0.2.1", "fe80::1"], "down": "5"})
        self.type("globals", "interval", "2s")
        self.press_and_wait("Save")
        self.assertEqual(router.of("globals"), {"interval": "2s"})
        self.edit("isp2")
        self.save_dialog()
        self.assertEqual(router.of("isp2"), {"interface": ["wanb"], "masquerade": "1"})

    def test_a_line_is_added(self) -> None:
        router = self.open_with(Router(usual()))
        self.browser.run("document.querySelector('#cbi-failover-provider .cbi-section-create-name').value = 'lte';"
                         "document.querySelector('#cbi-failover-provider .cbi-button-add').click()")
        self.browser.until("document.querySelector('.modal .cbi-value')")
        self.browser.run("document.getElementById('widget.cbid.failover.lte.interface').options[0].selected = true")
        self.type("lte", "profile", "metered")
        self.save_dialog()
        self.assertEqual(router.of("lte"), {"interface": ["lan"], "profile": "metered"})
        self.assertIn("lan (Paid by volume)", self.text("[data-sid=lte]"))
        self.assertIn("Saved, but not in force yet", self.text())

    def test_a_line_is_offered_the_checks_of_now(self) -> None:
        self.open_with(Router(usual()))
        offered = "Array.from(document.querySelectorAll('.modal [data-name=check] option'), (one) => one.value)"
        self.edit("isp1")
        self.assertEqual(self.browser.run(offered), ["all", "four", "names"])
        self.assertIn("Empty: all checks. As soon as one is chosen, only those are made.", self.field("check", ".modal")["text"])
        self.browser.run("ui.hideModal()")
        self.browser.run("document.querySelector('#cbi-failover-check .cbi-section-create-name').value = 'fresh';"
                         "document.querySelector('#cbi-failover-check .cbi-button-add').click()")
        self.browser.until("document.querySelector('.modal .cbi-value')")
        self.save_dialog()
        for line in ("isp1", "isp2"):
            self.edit(line)
            self.assertEqual(self.browser.run(offered), ["all", "four", "names", "fresh"])
            self.browser.run("ui.hideModal()")

    def test_a_line_is_removed(self) -> None:
        router = self.open_with(Router(usual()))
        self.browser.run("document.querySelector('[data-sid=isp2] .cbi-button-remove').click()")
        self.browser.until("document.querySelector('.fo-alert').innerText.includes('Saved, but not in force yet')")
        self.assertEqual(router.names("provider"), ["isp1"])

    def test_there_may_be_no_globals(self) -> None:
        router = self.open_with(Router(usual()[1:]))
        self.type("globals", "down", "4")
        self.press_and_wait("Save")
        self.assertEqual(router.of("globals"), {"down": "4"})


class Kept(ConfigTest):
    """What LuCI's own fields would drop when the page is saved."""

    def test_an_interface_that_the_network_configuration_lacks(self) -> None:
        sections = usual()
        sections[1]["interface"] = ["wan", "gone"]
        for networks, told in ((["lan", "wan"], ["lan:", "wan:", "gone missing"]), ([], ["wan", "gone"])):
            router = self.open_with(Router(sections), networks=networks)
            self.edit("isp1")
            shown = self.browser.run("Array.from(document.querySelectorAll('.modal [data-name=interface] option'), (one) => one.innerText.trim())")
            self.assertEqual(shown, told)
            self.type("isp1", "rank", "7")
            self.save_dialog()
            self.assertEqual(router.of("isp1"), {"interface": ["wan", "gone"], "rank": "7"})

    def test_words_that_are_no_choice(self) -> None:
        sections = usual()
        sections[0] |= {"last_resort": "odd", "yield": "0"}
        sections[1] |= {"dns_route": "no", "profile": EVIL}
        router = self.open_with(Router(sections))
        self.edit("isp1")
        self.save_dialog()
        self.press_and_wait("Save")
        self.assertEqual(router.of("isp1"), {"interface": ["wan"], "dns_route": "no", "profile": EVIL})
        self.assertEqual(router.of("globals"), {"last_resort": "odd", "yield": "0"})
        self.assertIsNone(self.browser.run("window.evil"))


class Order(ConfigTest):
    def shown(self) -> list[str]:
        return self.texts("#cbi-failover-provider [data-sid] td:first-child")

    def test_a_line_is_moved_by_the_keyboard(self) -> None:
        sections = [*usual(), section("provider", "isp3", interface=["lan"])]
        router = self.open_with(Router(sections))
        for label, order in (
            ("Move isp3 up", ["isp1", "isp3", "isp2"]), ("Move isp3 up", ["isp3", "isp1", "isp2"]),
            ("Move isp3 up", ["isp3", "isp1", "isp2"]), ("Move isp1 down", ["isp3", "isp2", "isp1"]),
            ("Move isp1 down", ["isp3", "isp2", "isp1"]),
        ):
            self.browser.run(f"document.querySelector('[aria-label=\"{label}\"]').focus()")
            self.browser.key("Enter", 13, "\r")
            self.assertEqual(self.shown(), order)
            self.assertEqual(self.browser.run("document.activeElement.getAttribute('aria-label')"), label)
        self.press_and_wait("Save")
        self.assertEqual(router.names("provider"), ["isp3", "isp2", "isp1"])
        self.assertEqual(self.shown(), ["isp3", "isp2", "isp1"])
        self.assertEqual(self.texts("#cbi-failover-check [aria-label^=Move]"), [])

    def test_the_arrows_are_reached_in_their_order(self) -> None:
        self.open_with(Router(usual()))
        self.browser.run("document.querySelector('[aria-label=\"Move isp1 up\"]').focus()")
        self.browser.key("Tab", 9)
        self.assertEqual(self.browser.run("document.activeElement.getAttribute('aria-label')"), "Move isp1 down")

    def test_the_order_is_the_rank(self) -> None:
        router = self.open_with(Router(usual()))
        self.drag("isp2", "isp1")
        self.press_and_wait("Save")
        self.assertEqual(router.names("provider"), ["isp2", "isp1"])
        self.assertEqual(router.of("isp2"), {"interface": ["wanb"]})

    def test_ranks_are_shown_as_the_order_and_follow_it(self) -> None:
        sections = usual()
        sections[1]["rank"], sections[2]["rank"] = "20", "10"
        router = self.open_with(Router(sections))
        self.assertEqual(self.shown(), ["isp2", "isp1"])
        self.press_and_wait("Save")
        self.assertEqual([router.of(name)["rank"] for name in ("isp2", "isp1")], ["10", "20"])
        self.drag("isp1", "isp2")
        self.press_and_wait("Save")
        self.assertEqual([router.of(name)["rank"] for name in ("isp1", "isp2")], ["1", "2"])


class Problems(ConfigTest):
    def refused(self) -> dict:
        problems = [
            f"/etc/config/failover:3: down '65': {EVIL}", "/etc/config/failover:9: gateway 'x': expected an address",
            "/etc/config/failover:7: warning: provider isp2 is odd", "warning: interface 'wan' of provider 'isp1' is in no zone",
        ]
        return {"valid": False, "problems": problems, "places": ["globals.down", "isp1.gateway", "isp2.", "isp1.interface"]}

    def test_a_problem_stands_at_its_field_and_nothing_is_applied(self) -> None:
        router = self.open_with(Router(usual()))
        self.assertEqual(self.texts(".fo-problem"), [])
        router.checked = self.refused()
        self.type("globals", "down", "64")
        self.press_and_wait("Save & Apply")
        self.browser.until("document.querySelector('[data-name=down] .fo-problem')")
        self.assertEqual(self.text("[data-name=down] .fo-problem"), f"down '65': {EVIL}")
        self.assertEqual(self.texts("[data-sid=isp1] .fo-problem"),
                         ["gateway 'x': expected an address", "interface 'wan' of provider 'isp1' is in no zone"])
        self.assertEqual(self.texts("[data-sid=isp2] .fo-problem"), ["provider isp2 is odd"])
        self.assertEqual(router.applied, 0)
        [top] = self.texts("[role=alert]")
        self.assertIn("The daemon would refuse this configuration: it is saved, but not applied", top)
        self.assertIn("isp1 · gateway · gateway 'x': expected an address", top)
        self.assertIn("To drop the changes: Unsaved Changes → Revert.", top)
        self.edit("isp1")
        self.assertEqual(self.text(".modal [data-name=gateway] .fo-problem"), "gateway 'x': expected an address")
        # It is mended in the dialog, and gone.
        router.checked = GOOD
        self.save_dialog()
        self.browser.until("!document.querySelector('.fo-problem')")
        self.apply(router)
        self.assertIn("This configuration is in force", self.text())
        self.assertIsNone(self.browser.run("window.evil"))

    def test_values_are_text(self) -> None:
        sections = usual()
        sections[0] |= {"interval": EVIL, "connections": EVIL, "profile": EVIL}
        sections[1]["gateway"] = [EVIL]
        sections[2] = section("provider", "isp2", device=EVIL)
        sections[3] |= {"target": EVIL, "type": EVIL}
        sections[4] |= {"target": "", "command": EVIL}
        problems = {"valid": False, "problems": [f"f:1: {EVIL}"] * 3, "places": ["isp1.", "four.target", f"{EVIL}.x"]}
        self.open_with(Router(sections, problems))
        self.assertIn(EVIL, self.text("[data-sid=isp2]"))
        self.assertEqual(self.text("[data-sid=four]").count(EVIL), 3)
        for name in ("isp1", "isp2", "four"):
            self.edit(name)
            self.browser.run("ui.hideModal()")
        self.assertIsNone(self.browser.run("window.evil"))

    def test_a_warning_does_not_stop_it(self) -> None:
        router = self.open_with(Router(usual(), {"valid": True, "problems": ["f:3: warning: odd"], "places": ["isp1.rank"]}))
        self.apply(router)

    def test_a_daemon_that_does_not_answer_does_not_stop_it(self) -> None:
        router = self.open_with(Router(usual(), NO_DATA))
        self.apply(router)

    def test_a_refused_file_is_told_line_by_line(self) -> None:
        text = self.open_with(Router(usual(), self.refused())) and self.text()
        self.assertIn("The configuration is refused", text)
        self.assertIn("/etc/config/failover:9: gateway 'x': expected an address", text)
        self.assertNotIn("Revert", text)


class InForce(ConfigTest):
    def told(self, router: Router) -> str:
        self.open_with(router)
        return self.text(".fo-alert")

    def test_it_is_told_what_is_in_force(self) -> None:
        self.assertEqual(self.told(Router(usual())), "This configuration is in force\nIPv4 → isp1, IPv6 → isp1")
        self.assertIn("Online", self.text("[data-sid=isp1]"))
        self.assertEqual(self.told(Router(usual()[:2] + usual()[3:])), "Not in force yet: isp2")
        more = [*usual(), section("provider", "lte", interface=["wanb"]), section("provider", "old", enabled="no")]
        self.assertEqual(self.told(Router(more)), "Not in force yet: lte")
        self.assertIn("not in force", self.text("[data-sid=lte]"))
        off = usual()
        off[0]["enabled"] = "0"
        self.assertIn("Failover is switched off", self.told(Router(off)))
        self.assertIn("daemon is not running", self.told(Router(usual(), status=NO_DATA)))

    def test_a_family_that_no_line_has_is_no_failure(self) -> None:
        for families, red in ((["ipv6"], 0), (["ipv4", "ipv6"], 2)):
            self.told(Router(usual(), status=lacking(*families)))
            self.assertIn("No uplink", self.text("[data-sid=isp1]"))
            self.assertEqual(len(self.texts("[data-sid=isp1] .fo-bad")), red)

    def test_a_disabled_line_is_told(self) -> None:
        # By hand.
        told = self.told(Router(usual(), status=recorded("disabled")))
        self.assertIn("This configuration is in force", told)
        self.assertEqual(self.text("[data-sid=isp1] .fo-state"), "Disabled")
        # By the configuration, as the daemon tells it, and before it knows the line.
        status = recorded("disabled")
        status["providers"][0]["disabled"] = False
        sections = [*usual(), section("provider", "old", enabled="no")]
        sections[1]["enabled"] = "0"
        self.assertIn("This configuration is in force", self.told(Router(sections, status=status)))
        for line in ("isp1", "old"):
            self.assertEqual(self.text(f"[data-sid={line}] .fo-state"), "Disabled")
        self.assertEqual(self.told(Router(usual(), status=status)), "Not in force yet: isp1")

    def test_a_pin_is_told(self) -> None:
        told = self.told(Router(usual(), status=recorded("pinned")))
        self.assertIn("isp1 is pinned: the daemon does not choose, and checks no line.", told)
        self.assertNotIn("is pinned", self.told(Router(usual())))

    def test_it_follows_what_the_daemon_does(self) -> None:
        router = Router(usual(), status=recorded("nothing"))
        self.open_with(router)
        self.type("globals", "down", "7")
        router.status = recorded("well")
        self.browser.until("document.querySelector('[data-sid=isp1]').innerText.includes('Online')")
        # What is typed stays.
        self.assertEqual(self.browser.run("document.getElementById('widget.cbid.failover.globals.down').value"), "7")


class Wizard(ConfigTest):
    PROPOSED = {"providers": [
        {"id": "wan", "interface": ["wan", "wan6"]}, {"id": "wanb", "interface": ["wanb"]}, {"id": EVIL, "interface": [EVIL]},
    ]}

    def open_wizard(self, proposed: object = PROPOSED, **settings: object) -> Router:
        sections = [section("globals", "globals", enabled="0"), usual()[3]]
        return self.open_with(Router(sections, propose=proposed), **settings)

    def rows(self) -> list[str]:
        return self.browser.run("Array.from(document.querySelectorAll('.fo-rows li'), (row) => row.dataset.id)")

    def test_lines_are_proposed_ordered_and_staged(self) -> None:
        self.PROPOSED["providers"][2:] = []
        router = self.open_wizard()
        self.assertEqual(self.rows(), ["wan", "wanb"])
        for text in ("Normal", "Notice within a second", "Paid by volume", "wan, wan6"):
            self.assertIn(text, self.text(".fo-rows"))
        # By the keyboard.
        self.browser.run("document.querySelector('[aria-label=\"Move wanb up\"]').focus()")
        self.browser.key("Enter", 13, "\r")
        self.assertEqual(self.rows(), ["wanb", "wan"])
        self.assertEqual(self.browser.run("document.activeElement.getAttribute('aria-label')"), "Move wanb up")
        # By the mouse.
        self.browser.run("""(() => {
            const [ first, second ] = document.querySelectorAll('.fo-rows li');
            second.dispatchEvent(new DragEvent('dragstart'));
            first.dispatchEvent(new DragEvent('dragover', { clientY: first.getBoundingClientRect().top + 1, cancelable: true }));
            second.dispatchEvent(new DragEvent('dragend'));
        })()""")
        self.assertEqual(self.rows(), ["wan", "wanb"])
        self.browser.run("document.querySelector('[data-id=wanb] select').value = 'metered'")
        self.press("make")
        self.browser.until("!document.querySelector('.fo-wizard')")
        self.assertEqual(router.names("provider"), ["wan", "wanb"])
        self.assertEqual(router.of("wan"), {"interface": ["wan", "wan6"]})
        self.assertEqual(router.of("wanb"), {"interface": ["wanb"], "profile": "metered"})
        self.assertEqual(router.of("globals").get("enabled", "1"), "1")
        self.assertEqual(router.applied, 0)
        self.assertIn("“Save & Apply” puts it in force", self.text())

    def test_names_are_text(self) -> None:
        self.open_wizard({"providers": [{"id": EVIL, "interface": [EVIL]}]})
        self.assertIn(EVIL, self.text(".fo-rows"))
        self.assertIsNone(self.browser.run("window.evil"))

    def test_without_an_uplink_it_says_what_to_do(self) -> None:
        for nothing in ({"providers": []}, NO_DATA):
            self.open_wizard(nothing)
            self.assertIn("Set one up under Network → Interfaces", self.text(".fo-wizard"))
            self.assertEqual(self.texts(".fo-wizard button"), [])

    def test_one_who_only_looks_makes_nothing(self) -> None:
        self.open_wizard(readonly=True)
        self.assertTrue(self.browser.run("document.querySelector('[data-key=make]').disabled"))

    def test_where_there_are_lines_there_is_no_wizard(self) -> None:
        self.open_with(Router(usual()))
        self.assertNotIn(("propose", {}), self.bridge.calls)


class Viewer(ConfigTest):
    def test_one_who_only_looks_changes_nothing(self) -> None:
        self.open_with(Router(usual()), readonly=True)
        enabled = "Array.from(document.querySelectorAll('#view input, #view select, #view [aria-label^=Move], .cbi-page-actions button'), (one) => one.disabled)"
        self.assertEqual(set(self.browser.run(enabled)), {True})
        self.edit("isp1")
        self.assertEqual(set(self.browser.run("Array.from(document.querySelectorAll('.modal input, .modal select'), (one) => one.disabled)")), {True})


if __name__ == "__main__":
    unittest.main()
