"""A router with two uplinks in network namespaces, the real daemon on it, and the plugin of rpcd before it.

Behind each uplink is a namespace that has the target of its check. All ends with the test.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bridge import ROOT, Answer, by_plugin

PROGRAM = Path(os.environ.get("FAILOVER_PROGRAM") or ROOT / "target" / "debug" / "failover")
STAND_INS = ROOT / "tests" / "openwrt" / "root"
TARGETS = ("198.51.100.1", "2001:db8:ff::1")
TIMING = "\toption interval '100ms'\n\toption timeout '200ms'\n\toption down '3'\n\toption up '3'\n"


def run(*words: object, **options: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def configuration(folder: Path, more: str = "") -> str:
    text = f"config globals 'globals'\n\toption state_dir '{folder}/run'\n\toption sticky_file '{folder}/sticky'\n"
    text += f"\toption hooks_dir '{folder}/hooks.d'\n" + TIMING
    for number in (1, 2):
        text += f"\nconfig provider 'isp{number}'\n\toption device 'eth{number}'\n"
    for name, target in (("four", TARGETS[0]), ("six", TARGETS[1])):
        text += f"\nconfig check '{name}'\n\toption type 'ping'\n\toption target '{target}'\n"
    return text + more


def remove_left_over() -> None:
    """Removes the namespaces of tests that were killed."""
    for line in run("ip", "netns").splitlines():
        found = re.match(r"luci(\d+)-\S+", line)
        if found and not Path(f"/proc/{found[1]}").exists():
            run("ip", "netns", "del", found[0])


class Router:
    """The network and the daemon."""

    def __init__(self, more: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="failover-luci-"))
        self.names = {part: f"luci{os.getpid()}-{part}" for part in ("router", "1", "2")}
        remove_left_over()
        self._daemon = None
        self.more = more
        for part, name in self.names.items():
            run("ip", "netns", "add", name)
            self.ip(part, "link", "set", "lo", "up")
        for number in ("1", "2"):
            self._line(number)
        (self.folder / "hooks.d").mkdir()
        self.file = self.folder / "failover.conf"
        self.file.write_text(configuration(self.folder, more))
        self._plugin()
        self.start()

    def ip(self, part: str, *words: object) -> None:
        run("ip", "-netns", self.names[part], *words)

    def _line(self, number: str) -> None:
        first = 4 * int(number)
        there = f"eth{number}"
        run("ip", "link", "add", there, "netns", self.names["router"], "type", "veth", "peer", "name", "line", "netns", self.names[number])
        self.ip("router", "addr", "add", f"192.0.2.{first + 1}/30", "dev", there)
        self.ip("router", "addr", "add", f"2001:db8:{number}::1/64", "dev", there, "nodad")
        self.ip("router", "link", "set", there, "up")
        self.ip(number, "addr", "add", f"192.0.2.{first + 2}/30", "dev", "line")
        self.ip(number, "addr", "add", f"fe80::{number}/64", "dev", "line", "nodad")
        self.ip(number, "link", "set", "line", "up")
        for target in TARGETS:
            self.ip(number, "addr", "add", target, "dev", "lo")
        self.ip(number, "-6", "route", "add", "default", "via", f"fe80::{int(number) + 8}", "dev", "line")
        self.ip("router", "addr", "add", f"fe80::{int(number) + 8}/64", "dev", there, "nodad")
        # As netifd leaves them.
        self.ip("router", "route", "add", "default", "via", f"192.0.2.{first + 2}", "dev", there, "metric", first)
        self.ip("router", "-6", "route", "add", "default", "via", f"fe80::{number}", "dev", there, "metric", first)

    def _plugin(self) -> None:
        """The plugin, with the paths of this program and of the replacements in place of the router's."""
        program = self.folder / "failover"
        program.write_text(f'#!/bin/sh\nexec ip netns exec {self.names["router"]} {PROGRAM} --config {self.file} "$@"\n')
        init = self.folder / "init"
        init.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        for script in (program, init):
            script.chmod(0o755)
        text = (ROOT / "openwrt/failover/files/failover.rpcd").read_text()
        for path, instead in (
            ("/usr/sbin/failover", program),
            ("/etc/init.d/failover", init),
            ("/usr/share/libubox/jshn.sh", STAND_INS / "usr/share/libubox/jshn.sh"),
            ("/var/run/rpcd/uci-", self.folder / "rpcd" / "uci-"),
            ("/etc/config/failover", self.file),
        ):
            assert path in text, path
            text = text.replace(path, str(instead))
        self.plugin = self.folder / "plugin"
        self.plugin.write_text(text)

    def answer(self) -> Answer:
        # jsonfilter's replacement first; `ip` is the machine's.
        (self.folder / "bin").mkdir(exist_ok=True)
        shutil.copy(STAND_INS / "bin/jsonfilter", self.folder / "bin")
        uci = (STAND_INS / "sbin/uci").read_text().replace("/lib/functions.sh", str(STAND_INS / "lib/functions.sh"))
        (self.folder / "bin" / "uci").write_text(uci)
        (self.folder / "bin" / "uci").chmod(0o755)
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return by_plugin(["busybox", "ash", str(self.plugin)], {"PATH": path})

    def start(self) -> None:
        # It ends with this process, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.names["router"], PROGRAM]
        command += ["--config", self.file, "run", "--foreground"]
        with (self.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)

    def stop(self) -> None:
        self._daemon.terminate()
        try:
            self._daemon.wait(20)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()

    def dies(self, number: int) -> None:
        """Nothing comes through an uplink any more."""
        self._targets(number, "del")

    def returns(self, number: int) -> None:
        self._targets(number, "add")

    def _targets(self, number: int, verb: str) -> None:
        for target in TARGETS:
            self.ip(str(number), "addr", verb, f"{target}/{128 if ':' in target else 32}", "dev", "lo")

    def close(self) -> None:
        self.stop()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Session:
    """A session of LuCI: the configuration's sections, and what is staged of them, before the plugin and the daemon."""

    ID = "0123456789abcdef" * 2

    def __init__(self, router: Router, sections: list[dict]) -> None:
        self.router, self.sections, self.plugin = router, sections, router.answer()
        self.file = router.folder / "rpcd" / f"uci-{self.ID}" / "failover"
        self.file.parent.mkdir(parents=True)

    def __call__(self, method: str, arguments: dict) -> object:
        match method:
            case "uci-load":
                return {"sections": self.sections}
            case "uci-save":
                self.sections = arguments["sections"]
                self.file.write_text(text_of(self.sections))
                return {}
            case "uci-apply":
                self.router.file.write_text(text_of(self.sections))
                self.file.write_text("")
                self.plugin("reload", {})
                return {}
        return self.plugin(method, arguments | {"ubus_rpc_session": self.ID})


def text_of(sections: list[dict]) -> str:
    """As the replacement for uci exports them."""
    lines = []
    for section in sections:
        lines.append(f"config {section['.type']} '{section['.name']}'")
        for name, value in section.items():
            if isinstance(value, list):
                lines += [f"\tlist {name} '{one}'" for one in value]
            elif name[0] != ".":
                lines.append(f"\toption {name} '{value}'")
    return "\n".join(lines) + "\n"


def sections_of(text: str) -> list[dict]:
    """Of a configuration that `configuration` makes."""
    sections: list[dict] = []
    for line in filter(None, text.splitlines()):
        kind, name, value = line.split(maxsplit=2)
        if kind == "config":
            sections.append({".type": name, ".name": value.strip("'")})
        else:
            sections[-1][name] = value.strip("'")
    return sections
