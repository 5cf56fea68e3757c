"""uci-defaults: the providers derived from a router's network configuration on first install."""

import json
import subprocess
import unittest

from router import FILES, PROGRAM, RouterTest

SHIPPED = (FILES / "failover.config").read_text()
(PLACE,) = (line for line in SHIPPED.splitlines() if line.startswith("# (The uplinks"))
DEFAULT_V4 = {"target": "0.0.0.0", "mask": 0, "nexthop": "192.0.2.1", "source": "0.0.0.0/0"}
DEFAULT_V6 = {"target": "::", "mask": 0, "nexthop": "fe80::1", "metric": 512, "source": "2001:db8:6::/64"}
CONNECTED = {"target": "198.51.100.0", "mask": 24, "nexthop": "0.0.0.0", "source": "0.0.0.0/0"}


def up(name: str, device: str, *routes: dict, metric: int = 0, proto: str = "dhcp", **more: object) -> dict:
    """An interface that is up, in the format of netifd's dump."""
    state = {"interface": name, "up": True, "pending": False, "autostart": True, "dynamic": False, "proto": proto}
    state |= {"l3_device": device, "device": "eth7", "metric": metric, "route": list(routes), "inactive": {"route": []}}
    return state | more


def down(name: str, proto: str = "dhcp") -> dict:
    return {"interface": name, "up": False, "pending": True, "autostart": True, "proto": proto, "device": "eth9"}


def section(name: str, device: str, proto: str, **options: str) -> str:
    """A section of /etc/config/network."""
    options = {"device": device, "proto": proto} | options
    return "\n\t".join([f"config interface '{name}'", *(f"option {key} '{options[key]}'" for key in options)]) + "\n\n"


LAN = section("loopback", "lo", "static") + section("lan", "br-lan", "static")


class DefaultsTest(RouterTest):
    def first_install(self, network: str = "", netifd: list[dict] | None = None) -> int:
        """Runs the script as opkg and the first boot do; returns its exit status."""
        self.write("etc/config/network", LAN + network)
        if netifd is not None:
            self.write("tmp/dump.json", json.dumps({"interface": netifd}))
        done = self.run_there("/bin/sh", "-c", "( . /etc/uci-defaults/90-failover )")
        self.assertEqual(done.stderr, "")
        self.assertEqual(self.calls(), [])
        return done.returncode

    def providers(self) -> dict[str, list[str]]:
        """The active configuration: provider -> its interfaces."""
        found: dict[str, list[str]] = {}
        words = [line.split() for line in self.read("etc/config/failover").splitlines()]
        interfaces: list[str] = []
        for line in words:
            match line:
                case ["config", "provider", name]:
                    interfaces = found[name.strip("'")] = []
                case ["list", "interface", name]:
                    interfaces.append(name.strip("'"))
        return found

    def is_switched_on(self) -> bool:
        return "\toption enabled '1'\n" in self.read("etc/config/failover").splitlines(keepends=True)

    def assert_made(self, providers: dict[str, list[str]]) -> None:
        """Asserts these providers, in this order, in a file that the program accepts without messages."""
        self.assertEqual(list(self.providers().items()), list(providers.items()))
        self.assertTrue(self.is_switched_on())
        checked = subprocess.run(
            [PROGRAM, "check", "--config", self.root / "etc/config/failover"], capture_output=True, text=True
        )
        # Except those of a single uplink, and of no netifd on this machine.
        here = ("there is nothing to fail over to", "this machine has no netifd")
        told = [line for line in checked.stderr.splitlines() if not any(one in line for one in here)]
        self.assertEqual((checked.returncode, told), (0, []))
        text = self.read("etc/config/failover")
        before, after = SHIPPED.replace("enabled '0'", "enabled '1'", 1).split(PLACE)
        self.assertTrue(text.startswith(before) and text.endswith(after), text)
        self.assertEqual((self.root / "etc/config/failover").stat().st_mode & 0o777, 0o600)


class ByNetifd(DefaultsTest):
    """On a running router: the data come from netifd."""

    def test_interfaces_of_one_device_are_one_provider(self) -> None:
        network = section("wan", "eth1", "dhcp") + section("wan6", "@wan", "dhcpv6")
        wan6 = up("wan6", "eth1", DEFAULT_V6, proto="dhcpv6")
        netifd = [wan6, up("lan", "br-lan", CONNECTED), up("wan", "eth1", DEFAULT_V4)]
        self.assertEqual(self.first_install(network, netifd), 0)
        self.assert_made({"wan": ["wan", "wan6"]})

    def test_one_uplink_comes_with_the_way_to_a_second(self) -> None:
        self.first_install(section("wan", "eth1", "dhcp"), [up("wan", "eth1", DEFAULT_V4)])
        self.assert_made({"wan": ["wan"]})
        text = self.read("etc/config/failover")
        self.assertIn("There is one uplink so far", text)
        with_second = text.replace("#config provider 'second'\n#\tlist", "config provider 'second'\n\tlist")
        self.write("etc/config/failover", with_second, 0o600)
        self.assert_made({"wan": ["wan"], "second": ["wanb"]})

    def test_metrics_tell_the_order_of_uplinks(self) -> None:
        network = "".join(section(name, name, "dhcp") for name in ("lte", "dsl", "cable"))
        netifd = [
            up("cable", "eth1", DEFAULT_V4, metric=20),
            up("dsl", "pppoe-dsl", DEFAULT_V4, metric=10, proto="pppoe"),
            up("lte", "wwan0", DEFAULT_V4, metric=100),
        ]
        self.first_install(network, netifd)
        self.assert_made({"dsl": ["dsl"], "cable": ["cable"], "lte": ["lte"]})
        self.assertNotIn("There is one uplink so far", self.read("etc/config/failover"))

    def test_metrics_of_ipv6_do_not(self) -> None:
        netifd = [
            up("wan", "eth1", DEFAULT_V4, metric=10),
            up("wanb", "eth2", DEFAULT_V4, metric=20),
            up("wanb6", "eth2", DEFAULT_V6, metric=0, proto="dhcpv6"),
            up("six", "6in4-six", DEFAULT_V6, metric=0, proto="6in4"),
        ]
        self.first_install("", netifd)
        self.assert_made({"wan": ["wan"], "wanb": ["wanb", "wanb6"], "six": ["six"]})

    def test_equal_metrics_leave_it_to_the_order_of_the_file(self) -> None:
        network = section("second", "eth2", "dhcp") + section("first", "eth1", "dhcp")
        self.first_install(network, [up("first", "eth1", DEFAULT_V4), up("second", "eth2", DEFAULT_V4)])
        self.assert_made({"second": ["second"], "first": ["first"]})

    def test_what_netifd_made_by_itself_belongs_to_it(self) -> None:
        network = section("wan", "eth1", "pppoe")
        wan_6 = up("wan_6", "pppoe-wan", DEFAULT_V6, proto="dhcpv6", dynamic=True)
        self.first_install(network, [up("wan", "pppoe-wan", DEFAULT_V4, proto="pppoe"), wan_6])
        self.assert_made({"wan": ["wan"]})

    def test_without_a_default_route_it_is_no_uplink(self) -> None:
        kept_out = up("management", "eth3", metric=5) | {"inactive": {"route": [DEFAULT_V4]}}
        self.first_install("", [up("wan", "eth1", DEFAULT_V4), up("lan2", "br-lan2", CONNECTED), kept_out])
        self.assert_made({"wan": ["wan"]})

    def test_one_that_is_down_is_expected_to_come_up(self) -> None:
        network = section("wan", "eth1", "dhcp", metric="10") + section("wan6", "@wan", "dhcpv6")
        network += section("lte", "wwan0", "dhcp", metric="20")
        self.first_install(network, [up("wan", "eth1", DEFAULT_V4, metric=10), down("lte"), down("wan6", "dhcpv6")])
        self.assert_made({"wan": ["wan", "wan6"], "lte": ["lte"]})

    def test_a_provider_has_four_interfaces_at_most(self) -> None:
        self.first_install("", [up(f"wan{i}", "eth1", DEFAULT_V4) for i in range(6)])
        self.assert_made({"wan0": ["wan0", "wan1", "wan2", "wan3"]})

    def test_names_that_a_section_cannot_have_are_left_out(self) -> None:
        self.first_install("", [up("a'b$(reboot)", "eth1", DEFAULT_V4), up("wan", "eth2", DEFAULT_V4)])
        self.assert_made({"wan": ["wan"]})

    def test_a_modem_whose_sessions_are_not_up_yet_is_an_uplink(self) -> None:
        self.first_install("", [up("wan", "eth1", DEFAULT_V4), up("wwan", "wwan0", proto="qmi")])
        self.assert_made({"wan": ["wan"], "wwan": ["wwan"]})

    def test_long_names_are_cut_for_providers_without_collision(self) -> None:
        long, exact = "a_line_with_a_name_of_more_than_31_bytes", "a_line_with_a_name_of_more_th_1"
        names = [long + "_x", exact, long, "auto", "google", "x" * 60, "x" * 61]
        self.first_install("", [up(name, f"eth{place}", DEFAULT_V4) for place, name in enumerate(names)])
        made = {
            "a_line_with_a_name_of_more_th_2": [long + "_x"],
            exact: [exact],
            "a_line_with_a_name_of_more_th_3": [long],
            "auto_1": ["auto"],
            "google_1": ["google"],
            "x" * 29 + "_1": ["x" * 60],
        }
        self.assert_made(made)


class ByConfiguration(DefaultsTest):
    """At the first boot: netifd does not run yet."""

    def test_uplinks_are_found_by_their_protocols(self) -> None:
        network = section("wan", "eth1", "dhcp", metric="20") + section("wan6", "eth1", "dhcpv6")
        network += section("dsl", "eth2", "pppoe", metric="10") + section("dsl6", "@dsl", "dhcpv6")
        network += section("dsl_6", "pppoe-dsl", "dhcpv6")
        network += section("fixed", "eth3", "static", gateway="192.0.2.1", metric="30")
        network += section("dmz", "eth4", "static") + section("idle", "eth5", "none")
        self.assertEqual(self.first_install(network), 0)
        self.assert_made({"dsl": ["dsl", "dsl6", "dsl_6"], "wan": ["wan", "wan6"], "fixed": ["fixed"]})

    def test_what_is_not_brought_up_or_kept_out_is_none(self) -> None:
        network = section("wan", "eth1", "dhcp") + section("a", "eth2", "dhcp", disabled="1")
        network += section("b", "eth3", "dhcp", auto="0")
        network += section("c", "eth4", "dhcp", defaultroute="0")
        self.first_install(network)
        self.assert_made({"wan": ["wan"]})

    def test_without_an_uplink_it_is_tried_again(self) -> None:
        self.assertNotEqual(self.first_install(), 0)
        self.assertEqual(self.read("etc/config/failover"), SHIPPED)
        self.assertEqual(len(self.logged()), 1)
        self.assertEqual(self.first_install(section("wan", "eth1", "dhcp")), 0)
        self.assert_made({"wan": ["wan"]})


def route(interface: str, target: str = "0.0.0.0/0", kind: str = "route", **options: str) -> str:
    """A static route of /etc/config/network."""
    options = {"interface": interface, "target": target, "gateway": "192.0.2.1"} | options
    return "\n\t".join([f"config {kind}", *(f"option {key} '{options[key]}'" for key in options)]) + "\n\n"


def child(name: str, device: str, *routes: dict, proto: str) -> dict:
    """An interface that netifd has made by itself, for another."""
    return up(name, device, *routes, proto=proto, dynamic=True, data={"zone": "wan"})


LINK = {"target": "0.0.0.0", "mask": 0, "nexthop": "0.0.0.0", "source": "0.0.0.0/0"}
LINK_V6 = {"target": "::", "mask": 0, "nexthop": "::", "source": "::/0"}
MODEM = [child("wwan_4", "wwan0", DEFAULT_V4, proto="dhcp"), child("wwan_6", "wwan0", DEFAULT_V6, proto="dhcpv6")]
WAN = section("wan", "eth1", "dhcp")
WAN_UP = up("wan", "eth1", DEFAULT_V4)
WAN6 = section("wan6", "@wan", "dhcpv6")
WAN6_UP = up("wan6", "eth1", DEFAULT_V6, proto="dhcpv6")
ONE = {"wan": ["wan"]}
TWO = {"wan": ["wan"], "wanb": ["wanb"]}

# Name: the network's configuration, what netifd has of it, and the providers.
NETWORKS = {
    "dhcp": (WAN, [WAN_UP], ONE),
    "dhcp and dhcpv6": (WAN + WAN6, [WAN_UP, WAN6_UP], {"wan": ["wan", "wan6"]}),
    "static": (
        section("wan", "eth1", "static", ipaddr="192.0.2.2/24", gateway="192.0.2.1"),
        [up("wan", "eth1", DEFAULT_V4, proto="static")],
        ONE,
    ),
    "pppoe with automatic IPv6": (
        section("wan", "eth1", "pppoe", ipv6="auto"),
        [up("wan", "pppoe-wan", LINK, proto="pppoe"), child("wan_6", "pppoe-wan", DEFAULT_V6, proto="dhcpv6")],
        ONE,
    ),
    "pppoe and an alias for IPv6": (
        section("wan", "eth1.7", "pppoe", ipv6="1") + WAN6,
        [up("wan", "pppoe-wan", LINK, proto="pppoe"), up("wan6", "pppoe-wan", DEFAULT_V6, proto="dhcpv6")],
        {"wan": ["wan", "wan6"]},
    ),
    "qmi": (section("wwan", "/dev/cdc-wdm0", "qmi"), [up("wwan", "wwan0", proto="qmi"), *MODEM], {"wwan": ["wwan"]}),
    "mbim": (section("wwan", "/dev/cdc-wdm0", "mbim"), [up("wwan", "wwan0", proto="mbim"), *MODEM], {"wwan": ["wwan"]}),
    "ncm, IPv6 only": (
        section("wwan", "/dev/ttyUSB1", "ncm"),
        [up("wwan", "wwan0", proto="ncm"), MODEM[1]],
        {"wwan": ["wwan"]},
    ),
    "modemmanager": (
        section("wwan", "/sys/devices/usb1", "modemmanager"),
        [up("wwan", "wwan0", DEFAULT_V4, DEFAULT_V6, proto="modemmanager")],
        {"wwan": ["wwan"]},
    ),
    "464xlat on a modem's IPv6": (
        section("wwan", "/dev/cdc-wdm0", "qmi", pdptype="ipv6"),
        [up("wwan", "wwan0", proto="qmi"), MODEM[1], child("wwan_6_4", "464-wwan_6_4", LINK, proto="464xlat")],
        {"wwan": ["wwan"]},
    ),
    "dslite, automatic": (
        WAN6.replace("@wan", "eth1"),
        [WAN6_UP, child("wan6_4", "ds-wan6_4", LINK, proto="dslite")],
        {"wan6": ["wan6"]},
    ),
    "dslite, configured": (
        WAN6.replace("@wan", "eth1") + section("aftr", "", "dslite", peeraddr="2001:db8::1", tunlink="wan6"),
        [WAN6_UP, up("aftr", "ds-aftr", LINK, proto="dslite")],
        {"aftr": ["aftr", "wan6"]},
    ),
    "6in4": (
        WAN + section("henet", "", "6in4", peeraddr="198.51.100.1"),
        [WAN_UP, up("henet", "6in4-henet", LINK_V6, proto="6in4")],
        {"wan": ["wan"], "henet": ["henet"]},
    ),
    "6rd": (
        WAN + section("wan6rd", "", "6rd", peeraddr="198.51.100.1"),
        [WAN_UP, up("wan6rd", "6rd-wan6rd", LINK_V6, proto="6rd")],
        {"wan": ["wan"], "wan6rd": ["wan6rd"]},
    ),
    "wireguard as default": (
        WAN + section("wg0", "", "wireguard") + "config wireguard_wg0\n\toption route_allowed_ips '1'\n\n",
        [WAN_UP, up("wg0", "wg0", LINK, LINK_V6, proto="wireguard")],
        ONE,
    ),
    "openvpn as default": (
        WAN + section("vpn", "", "openvpn") + section("tun", "tun0", "none"),
        [WAN_UP, up("vpn", "vpn", LINK, proto="openvpn"), up("tun", "tun0", proto="none")],
        ONE,
    ),
    "gre as default": (
        WAN + section("gre1", "", "gre", peeraddr="198.51.100.1") + section("over", "@gre1", "static", ipaddr="192.0.2.9"),
        [WAN_UP, up("gre1", "gre4-gre1", LINK, proto="gre"), up("over", "gre4-gre1", CONNECTED, proto="static")],
        ONE,
    ),
    "tailscale": (WAN + section("tailscale", "tailscale0", "none"), [WAN_UP, up("tailscale", "tailscale0", proto="none")], ONE),
    "bridge LANs": (
        WAN + section("guest", "br-guest", "static", ipaddr="198.51.100.1/24"),
        [WAN_UP, up("lan", "br-lan", CONNECTED, proto="static"), up("guest", "br-guest", CONNECTED, proto="static")],
        ONE,
    ),
    "two WANs": (
        WAN + section("wanb", "eth2", "dhcp", metric="20"),
        [WAN_UP, up("wanb", "eth2", DEFAULT_V4, metric=20)],
        TWO,
    ),
    "two VLANs of one port": (
        section("wan", "eth1.10", "dhcp", metric="10") + section("wanb", "eth1.20", "dhcp", metric="20"),
        [up("wan", "eth1.10", DEFAULT_V4, metric=10), up("wanb", "eth1.20", DEFAULT_V4, metric=20)],
        TWO,
    ),
    "a wifi client as the second": (
        WAN + section("wwan", "", "dhcp", metric="20").replace("option device ''\n\t", ""),
        [WAN_UP, up("wwan", "phy0-sta0", DEFAULT_V4, metric=20)],
        {"wan": ["wan"], "wwan": ["wwan"]},
    ),
    "a relay": (
        section("wwan", "phy0-sta0", "dhcp") + section("repeater", "", "relay", network="lan wwan"),
        [up("wwan", "phy0-sta0", DEFAULT_V4), up("repeater", "", proto="relay") | {"l3_device": ""}],
        {"wwan": ["wwan"]},
    ),
    "disabled ones": (
        WAN + section("a", "eth2", "dhcp", disabled="1") + section("b", "eth3", "dhcp", auto="0")
        + section("c", "eth4", "dhcp", defaultroute="0"),
        [WAN_UP, down("b"), up("c", "eth4", inactive={"route": [DEFAULT_V4]})],
        ONE,
    ),
    "IPv6 only": (section("wan6", "eth1", "dhcpv6"), [WAN6_UP], {"wan6": ["wan6"]}),
    "a default only by config route": (
        section("wan", "eth1", "static", ipaddr="192.0.2.2/24") + route("wan"),
        [up("wan", "eth1", DEFAULT_V4, proto="static")],
        ONE,
    ),
    "the same beside defaultroute 0, in both families": (
        section("wan", "eth1", "dhcp", defaultroute="0")
        + section("wanb", "eth2", "static", ipaddr="192.0.2.2/24", metric="20")
        + route("wan", "0.0.0.0", netmask="0.0.0.0") + route("wanb", "::/0", "route6", gateway="fe80::1")
        + section("dmz", "eth3", "static", ipaddr="198.51.100.2/24") + route("dmz", "192.0.2.0/24")
        + route("dmz", table="100") + route("dmz", type="unreachable") + route("dmz", disabled="1"),
        [
            up("wan", "eth1", DEFAULT_V4, inactive={"route": [DEFAULT_V4]}),
            up("wanb", "eth2", DEFAULT_V6, proto="static", metric=20),
            up("dmz", "eth3", CONNECTED, proto="static"),
        ],
        TWO,
    ),
}


class Networks(DefaultsTest):
    """Each is found alike: from netifd, and before it runs. What is made of it only while it is up is made only then."""

    def test_by_netifd(self) -> None:
        for name, (network, netifd, providers) in NETWORKS.items():
            with self.subTest(name):
                self.assert_finds(providers, network, netifd)

    def test_at_the_first_boot(self) -> None:
        for name, (network, _, providers) in NETWORKS.items():
            with self.subTest(name):
                self.assert_finds(providers, network)

    def assert_finds(self, providers: dict[str, list[str]], network: str, netifd: list[dict] | None = None) -> None:
        self.write("etc/config/failover", SHIPPED, 0o600)
        self.assertEqual(self.first_install(network, netifd), 0)
        self.assert_made(providers)
        self.assertEqual(len(self.logged()), 1)


class Files(DefaultsTest):
    NETWORK = section("wan", "eth1", "dhcp")

    def test_a_file_of_somebody_elses_is_not_touched(self) -> None:
        for text in ("config globals\n", SHIPPED.replace(PLACE, "config provider 'own'\n\toption device 'eth9'")):
            self.write("etc/config/failover", text)
            before = (self.root / "etc/config/failover").stat()
            self.assertEqual(self.first_install(self.NETWORK), 0)
            after = (self.root / "etc/config/failover").stat()
            self.assertEqual(self.read("etc/config/failover"), text)
            self.assertEqual((before.st_mtime_ns, before.st_ino), (after.st_mtime_ns, after.st_ino))

    def test_without_a_file_nothing_is_made(self) -> None:
        (self.root / "etc/config/failover").unlink()
        self.assertEqual(self.first_install(self.NETWORK), 0)
        self.assertFalse((self.root / "etc/config/failover").exists())

    def test_the_second_time_it_does_nothing(self) -> None:
        self.first_install(self.NETWORK)
        text = self.read("etc/config/failover")
        self.first_install(self.NETWORK + section("wanb", "eth2", "dhcp"))
        self.assertEqual(self.read("etc/config/failover"), text)

    def test_nothing_else_is_left_behind(self) -> None:
        self.first_install(self.NETWORK)
        names = {path.name for path in (self.root / "etc/failover").iterdir()}
        self.assertEqual(names, {"config.made"})


if __name__ == "__main__":
    unittest.main()
