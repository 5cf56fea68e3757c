"""A web server in place of uhttpd and rpcd: the files of the package, LuCI's runtime, and calls of ubus.

A call is answered by a function, or by the plugin of rpcd, as rpcd would run it. It ends with its user.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
APP = ROOT / "openwrt" / "luci-app-failover"
sys.path.append(str(ROOT / "openwrt"))
from makefile import smaller

TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png", ".svg": "image/svg+xml"}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Router | Failover</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>
const darkMode = matchMedia('(prefers-color-scheme: dark)');
const setDark = () => document.documentElement.setAttribute('data-darkmode', darkMode.matches);
darkMode.addEventListener('change', setDark);
setDark();
</script>
{styles}<script src="/runtime.js"></script><script src="/form.js"></script></head>
<body><header></header><main id="maincontent" class="container"><div id="view"></div></main></body></html>
"""
PLAIN = "<style>:root { color-scheme: light dark; } body { font: 13px/1.5 sans-serif; background: Canvas; color: CanvasText; }</style>"
# ubus's errors.
INVALID_ARGUMENT, NO_DATA = 2, 5

Answer = Callable[[str, dict], object]


class Bridge:
    """Serves at `address` until it is closed. With a theme's folder, the pages have its styles."""

    def __init__(self, answer: Answer, theme: Path | None = None) -> None:
        bridge = self
        self.answer, self.theme, self.calls = answer, theme, []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                content, kind = bridge.file(unquote(urlsplit(self.path).path))
                self.send(200 if content is not None else 404, content or b"", kind)

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                bridge.calls.append((call["method"], call["params"]))
                self.send(200, json.dumps(bridge.result(call)).encode(), "application/json")

            def send(self, status: int, content: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def file(self, path: str) -> tuple[bytes | None, str]:
        if path == "/":
            sheets = ("cascade.css", "mobile.css")
            linked = "".join(f'<link rel="stylesheet" href="/theme/{name}"{media(name)}>\n' for name in sheets)
            return PAGE.format(styles=linked if self.theme else PLAIN).encode(), "text/html"
        if path in ("/runtime.js", "/form.js"):
            file = HERE / path[1:]
        elif path.startswith("/theme/") and self.theme:
            file = self.theme / Path(path).name
        elif path.startswith("/luci-static/") and ".." not in path:
            file = APP / "htdocs" / path[1:]
        else:
            return None, "text/plain"
        # As it is in the package.
        return (smaller(file) if file.is_file() else None), TYPES.get(file.suffix, "text/plain")

    def result(self, call: dict) -> dict:
        answer = self.answer(call["method"], call["params"])
        if isinstance(answer, str):
            return {"error": answer}
        return {"result": [answer] if isinstance(answer, int) else [0, answer]}


def media(name: str) -> str:
    return ' media="only screen and (max-device-width: 854px)"' if name == "mobile.css" else ""


def by_plugin(command: list[str], environment: dict[str, str]) -> Answer:
    """Runs the plugin as rpcd does: the arguments on its input, its output is the answer."""

    def answer(method: str, arguments: dict) -> object:
        done = subprocess.run(
            [*command, "call", method], input=json.dumps(arguments), env=environment, capture_output=True, text=True,
            timeout=60, check=False,
        )
        if not done.stdout.strip():
            return NO_DATA
        parsed = json.loads(done.stdout)
        return parsed if isinstance(parsed, dict) else INVALID_ARGUMENT

    return answer
