"""A headless Chromium, spoken to over its DevTools websocket: what a user sees and clicks."""

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Tab:
    """An open page."""

    def __init__(self, socket: Any):
        self._socket, self._number = socket, 0
        self.requests: list[str] = []
        """Addresses that the page has asked for."""
        self.call("Network.enable")
        self.call("Page.enable")
        self.call("Page.bringToFront")  # a page behind another is drawn once a second

    def call(self, method: str, **params: Any) -> Any:
        """One command; returns its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=240))
            if message.get("method") == "Network.requestWillBeSent":
                address = message["params"]["request"]["url"]
                if not address.startswith(("data:", "blob:")):
                    self.requests.append(address)
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is on the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def text(self) -> str:
        """The words on the page."""
        return self.value("document.body ? document.body.innerText : ''") or ""

    def wait_for(self, words: str, seconds: float = 180) -> str:
        """Waits until the page shows these words; returns all of its words."""
        end = time.monotonic() + seconds
        while words not in (text := self.text()):
            assert time.monotonic() < end, f"{words!r} is not on the page: {text!r}"
            time.sleep(0.2)
        return text

    def press(self, label: str) -> None:
        """Clicks the button with this label."""
        code = (
            "[...document.querySelectorAll('button')]"
            f".find(b => b.innerText.trim() == {json.dumps(label)}).click()"
        )
        assert "exceptionDetails" not in self.call("Runtime.evaluate", expression=code), label

    def mouse(self, kind: str, x: float, y: float, buttons: int = 0) -> None:
        """Moves the mouse, or presses or releases its left button."""
        more = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=buttons, **more)

    def picture(self, target: Path | None = None) -> bytes:
        """A picture of the page, a PNG file."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if target is not None:
            target.write_bytes(data)
        return data


@contextlib.contextmanager
def chromium(folder: Path, size: tuple[int, int] = (1280, 800)) -> Iterator[int]:
    """A browser without a window; its DevTools' port. `folder` keeps its profile."""
    assert CHROMIUM is not None
    flags = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--no-first-run"]
    flags += ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    flags += [
        f"--window-size={size[0]},{size[1]}",
        f"--user-data-dir={folder}",
        "--hide-scrollbars",
    ]
    process = subprocess.Popen(
        [CHROMIUM, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        file, end = folder / "DevToolsActivePort", time.monotonic() + 60
        while not file.is_file() or len(file.read_text().split()) < 2:
            assert process.poll() is None, "the browser ended"
            assert time.monotonic() < end, "the browser does not start"
            time.sleep(0.1)
        yield int(file.read_text().split()[0])
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def tab(port: int, address: str) -> Iterator[Tab]:
    """A page in the browser at this port; closed at the end."""
    from websockets.sync.client import connect

    new = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
    page = json.loads(urllib.request.urlopen(new, timeout=30).read())
    with connect(page["webSocketDebuggerUrl"], max_size=2**26) as socket:
        opened = Tab(socket)
        opened.call("Page.navigate", url=address)
        try:
            yield opened
        finally:
            opened.call("Page.close")
