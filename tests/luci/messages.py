#!/usr/bin/env python3
"""The texts of the pages that are translated: `tests/luci/messages.py` writes them to po/templates/failover.pot."""

import ast
import json
import re
from pathlib import Path

APP = Path(__file__).resolve().parent.parent.parent / "openwrt" / "luci-app-failover"
TEMPLATE = APP / "po" / "templates" / "failover.pot"
CALL = re.compile(r"(?<![\w.$])_\(('(?:[^'\\]|\\.)*')\)")
HEAD = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n'


def sources() -> list[Path]:
    return sorted((APP / "htdocs").rglob("*.js"))


def template() -> str:
    """Each text once, with the files in which it stands."""
    places: dict[str, list[str]] = {}

    def add(text: str, path: Path) -> None:
        where = str(path.relative_to(APP))
        if where not in places.setdefault(text, []):
            places[text].append(where)

    for path in sources():
        for text in CALL.findall(path.read_text()):
            add(ast.literal_eval(text), path)
    menu = APP / "root/usr/share/luci/menu.d/luci-app-failover.json"
    for node in json.loads(menu.read_text()).values():
        add(node["title"], menu)
    rights = APP / "root/usr/share/rpcd/acl.d/luci-app-failover.json"
    for group in json.loads(rights.read_text()).values():
        add(group["description"], rights)
    messages = [f'#: {" ".join(where)}\nmsgid {quoted(text)}\nmsgstr ""\n' for text, where in sorted(places.items())]
    return "\n".join([HEAD, *messages])


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    TEMPLATE.write_text(template())
