#!/usr/bin/env python3
"""Makes docs/luci.png, Status → Failover after the first line has failed: a recorded answer with other names and times.

    LUCI_THEME=FOLDER tests/luci/picture.py

The folder is that of LuCI's sources, or of a router: luci-static/bootstrap. It has the styles of the pages. pngquant, of
Debian's package of that name, makes the picture small.
"""

import json
import os
import random
import subprocess
from pathlib import Path

from bridge import ROOT, Bridge
from browser import Browser
from pages import HERE, STATUS

PICTURE = ROOT / "docs/luci.png"
NAMES = {
    "isp1": "fibre", "isp2": "lte", "eth1": "pppoe-wan", "eth2": "wwan0", '"four"': '"quad9"', '"six"': '"quad9_six"',
    "198.51.100.1": "9.9.9.9", "2001:db8:ff::1": "2620:fe::fe", "01:42:": "20:14:",
}
# Mean and spread of each line's round trips, in ms, and for how long it has its state, in seconds.
LINES = {"fibre": (8.2, 1.1, 42), "lte": (34, 9, 49)}
CLOCK = """Date = class extends Date {
    constructor(...given) { super(...given.length ? given : ['2026-11-29T20:15:21Z']); }
    static now() { return new Date().getTime(); }
};"""


def status() -> dict:
    """The same at each call."""
    random.seed(4)
    text = (HERE / "answers/failed_over.json").read_text()
    for name, shown in NAMES.items():
        text = text.replace(name, shown)
    answer = json.loads(text)
    for provider in answer["providers"]:
        mean, spread, since = LINES[provider["id"]]
        for path in provider["paths"]:
            path["history"] = [ms and mean + abs(random.gauss(0, spread)) for ms in path["history"]]
            times = [ms for ms in path["history"] if ms]
            path["rtt_ms"]["avg"], path["since_s"] = sum(times) / len(times), since
    answer["journal"] = answer["journal"][:6]
    return answer


def main() -> None:
    bridge, browser = Bridge(lambda *_: status(), Path(os.environ["LUCI_THEME"])), Browser()
    try:
        browser.before(f"{CLOCK} window.test = {json.dumps({'page': STATUS})}")
        browser.size(960, 600)
        browser.go(bridge.address)
        browser.until("typeof test != 'undefined' && test.ready")
        browser.picture(PICTURE)
    finally:
        browser.close()
        bridge.close()
    subprocess.run(["pngquant", "--force", "--strip", "--output", PICTURE, "64", PICTURE], check=True)


if __name__ == "__main__":
    main()
