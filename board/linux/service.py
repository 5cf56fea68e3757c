"""The installed package on a machine: its files, its configuration, its service."""

import json
from pathlib import Path

from testbed import PROVIDERS, TARGETS, Machine, kernel, ours

UNIT = "failover.service"
CONFIG = "/etc/failover/failover.conf"
PIN = "/etc/failover/sticky.provider"
COPY = "/etc/failover/last-good.conf"

DOCS = Path(__file__).parents[2] / "docs"

# What is there once the package is installed, and, of it, once it is removed.
CONFIGURATION = {"/etc/failover", CONFIG}
INSTALLED = CONFIGURATION | {
    "/etc/iproute2/rt_protos.d/failover.conf",
    "/etc/iproute2/rt_tables.d/failover.conf",
    "/etc/systemd/system/multi-user.target.wants/failover.service",
    "/usr/lib/systemd/system/failover-metrics.service",
    "/usr/lib/systemd/system/failover-metrics.timer",
    "/usr/lib/systemd/system/failover.service",
    "/usr/sbin/failover",
    "/usr/share/bash-completion/completions/failover",
    "/usr/share/doc/failover",
    "/usr/share/doc/failover/README.md",
    "/usr/share/doc/failover/alerts.yml",
    "/usr/share/doc/failover/changelog.Debian.gz",
    "/usr/share/doc/failover/changelog.gz",
    "/usr/share/doc/failover/copyright",
    "/usr/share/doc/failover/docs",
    "/usr/share/doc/failover/grafana.json",
    *(f"/usr/share/doc/failover/docs/{page.name}" for page in DOCS.glob("*.md")),
    "/usr/share/iproute2",
    "/usr/share/iproute2/rt_protos.d",
    "/usr/share/iproute2/rt_protos.d/failover.conf",
    "/usr/share/iproute2/rt_tables.d",
    "/usr/share/iproute2/rt_tables.d/failover.conf",
    "/usr/share/lintian/overrides/failover",
    "/usr/share/man/man8/failover.8.gz",
    "/var/lib/systemd/deb-systemd-helper-enabled/failover-metrics.timer.dsh-also",
    "/var/lib/systemd/deb-systemd-helper-enabled/failover.service.dsh-also",
    "/var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants",
    "/var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/failover.service",
}


def installed(before: dict[str, str]) -> set[str]:
    """What is new once the package is installed where there were these files; newer releases have no /etc/iproute2."""
    needless = {
        link for link in INSTALLED if link.startswith("/etc/iproute2/") and str(Path(link).parent) not in before
    }
    return INSTALLED - needless - before.keys()


def expect(machine: Machine, before: dict[str, str], expected: set[str]) -> None:
    """These files, and no others, were added, changed or deleted."""
    after = machine.files()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed == expected, f"unexpected: {changed - expected}; missing: {expected - changed}"


# What commands of people need of the sandbox, and what it must refuse them.
CHECK = r"""#!/bin/sh
exec 2>"/run/failover/check.$PROVIDER"
set -ex
ping -n -c 1 -W 1 -I "$DEVICE" "$TARGET"
echo "$PROVIDER" | grep -P 'isp\d'
ip route show dev "$DEVICE" | sort >/tmp/routes
if touch /etc/forbidden || touch /usr/forbidden || [ -e /root/secret ]; then exit 1; fi
if mount -t tmpfs tmpfs /mnt || unshare --net true || chown daemon /run/failover; then exit 1; fi
if systemctl show --property=Version; then exit 1; fi
touch "/run/failover/checked.$PROVIDER"
"""

GLOBALS = """\
config globals
	option enabled '{enabled}'
	option interval '50ms'
	option timeout '3s'
	option up '2'
	option down '2'
	option quorum 'all'
	option on_stop '{on_stop}'
"""
PROVIDER = """\
config provider '{name}'
	option device '{device}'
	list gateway '{gateway}'
	list gateway '{gateway6}'
"""
CHECKS = """\
config check 'ping'
	option type 'ping'
	option target '{0}'
config check 'ping6'
	option type 'ping'
	option target '{1}'
config check 'command'
	option type 'exec'
	option target '{0}'
	option command '/etc/failover/check'
	option interval '2s'
"""


def config(enabled: int = 1, on_stop: str = "restore") -> str:
    """Two providers in both families, each judged within a tenth of a second."""
    sections = [GLOBALS.format(enabled=enabled, on_stop=on_stop)]
    for name, (device, _, gateway, _, gateway6) in PROVIDERS.items():
        sections.append(PROVIDER.format(name=name, device=device, gateway=gateway, gateway6=gateway6))
    return "".join(sections) + CHECKS.format(*TARGETS)


class Service:
    """The package's service; without systemd, whatever daemon runs there."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def configure(self, text: str) -> None:
        self.write(CONFIG, text)

    def write(self, path: str, text: str) -> None:
        file = self.machine.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def control(self, action: str) -> int:
        """How `systemctl` ends."""
        return self.machine.status("systemctl", action, UNIT)

    def show(self, *names: str) -> list[str]:
        """Properties of the unit, as systemd knows them."""
        lines = self.machine.run("systemctl", "show", UNIT, f"--property={','.join(names)}").splitlines()
        found = dict(line.split("=", 1) for line in lines)
        return [found[name] for name in names]

    def rests(self, result: str) -> bool:
        """It does not run, nor will it by itself, and ended so."""
        state = {"success": ["inactive", "dead"]}.get(result, ["failed", "failed"])
        return self.show("ActiveState", "SubState", "Result") == [*state, result]

    def process(self) -> int:
        return int(self.show("MainPID")[0])

    def journal(self) -> str:
        return self.machine.run("journalctl", f"--unit={UNIT}", "--no-pager", "--output=cat")

    def status(self) -> dict:
        """The daemon's status; empty while there is none."""
        line = self.machine.run("failover", "status", "--json", ok=False).partition("\n")[0]
        return json.loads(line) if line.startswith("{") else {}

    def refused(self) -> list[str]:
        """The warnings of a configuration that was refused."""
        warnings = self.status().get("warnings", [])
        return [warning["text"] for warning in warnings if warning["code"] == "config-refused"]

    def leads(self, name: str) -> bool:
        """This provider is online and leads, in both families, and the kernel has its routes first."""
        device, _, gateway, _, gateway6 = PROVIDERS[name]
        status = self.status()
        paths = [
            path["state"]
            for provider in status.get("providers", [])
            for path in provider["paths"]
            if provider["id"] == name
        ]
        best = [line for line in ours(kernel()) if line.startswith("default") and "metric 100" in line]
        wanted = [f"default via {hop} dev {device} " for hop in (gateway, gateway6)]
        return (
            paths == ["online", "online"]
            and status["active"] == {"ipv4": name, "ipv6": name}
            and [any(line.startswith(route) for line in best) for route in wanted] == [True, True]
        )
