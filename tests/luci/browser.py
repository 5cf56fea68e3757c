"""Chromium, driven by the DevTools protocol over two pipes. It ends with its user."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Timeout of an answer, and of a state of the page that is waited for, in seconds: the machine may be busy.
PATIENCE = 60


class Browser:
    """One page."""

    def __init__(self) -> None:
        program = next(filter(shutil.which, PROGRAMS))
        self.folder = tempfile.TemporaryDirectory(prefix="failover-chromium-", ignore_cleanup_errors=True)
        there, self._write = os.pipe()
        self._read, back = os.pipe()
        # The program reads from descriptor 3, and writes to 4.
        command = [
            "sh", "-c", f'exec 3<&{there} 4>&{back} "$@"', "sh", program,
            "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--hide-scrollbars", "--lang=en-US", f"--user-data-dir={self.folder.name}", "about:blank",
        ]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = os.environ | {"TZ": "UTC", "HOME": self.folder.name}
        self._process = subprocess.Popen(command, pass_fds=(there, back), env=environment, **quiet)
        os.close(there)
        os.close(back)
        self._rest, self._number, self._session, self.errors = b"", 0, None, []
        [page] = [one for one in self._call("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        arguments = {"targetId": page["targetId"], "flatten": True}
        self._session = self._call("Target.attachToTarget", **arguments)["sessionId"]
        self._call("Page.enable")
        self._call("Runtime.enable")

    def close(self) -> None:
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.folder.cleanup()

    def _message(self, until: float) -> dict:
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            read = os.read(self._read, 1 << 16)
            if not read:
                raise EOFError("Chromium has ended")
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def _call(self, method: str, **arguments: object) -> dict:
        self._number += 1
        request = {"id": self._number, "method": method, "params": arguments}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._write, json.dumps(request).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            message = self._message(until)
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"])
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def run(self, expression: str) -> object:
        """The value of an expression of JavaScript, or what its promise becomes."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"], indent=1))
        return answer["result"].get("value")

    def before(self, script: str) -> None:
        """Runs a script in each new page, before any of its own."""
        self._call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def go(self, address: str) -> None:
        self.errors.clear()
        self._call("Page.navigate", url=address)

    def size(self, width: int, height: int, dark: bool = False) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def key(self, key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)

    def picture(self, path: Path, whole: bool = True) -> None:
        answer = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def until(self, condition: str | Callable[[], object], what: str = "") -> object:
        """Waits for a condition, an expression or a function, and returns its value."""
        until = time.monotonic() + PATIENCE
        while True:
            value = condition() if callable(condition) else self.run(f"!!({condition})")
            if value:
                return value
            if time.monotonic() > until:
                text = self.run("document.body.innerText")
                raise AssertionError(f"{what or condition} does not come about:\n{text}\n{self.errors}")
            time.sleep(0.05)
