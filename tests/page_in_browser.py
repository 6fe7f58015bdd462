"""A page in a real browser, Chromium without a window, for tests of how it looks."""

import json
import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def assert_fits(page: Path, width: int, folder: Path, pointed: str = "collected") -> None:
    """Nothing is wider than the window, every figure is drawn, and its script has no error."""
    script = """
    <iframe id=f style="border:0;width:WIDTHpx;height:900px" src="SOURCE"></iframe><script>
    const frame = document.getElementById("f");
    frame.onload = () => {
      const page = frame.contentDocument, root = page.documentElement;
      const svg = [...page.querySelectorAll("svg")].filter(x => x.getClientRects().length)[0];
      const box = svg.getBoundingClientRect();
      svg.dispatchEvent(new frame.contentWindow.PointerEvent("pointermove",
        {clientX: box.left + box.width * .8, clientY: box.top + 50, bubbles: true}));
      const words = [...page.querySelectorAll("svg text")].filter(t => t.getClientRects().length);
      const small = Math.min(...words.map(word => word.getBoundingClientRect().height));
      const text = page.getElementById("tip").textContent;
      document.title = JSON.stringify({wide: root.scrollWidth, text, small});
    };</script>"""
    wrapper = folder / "wrapper.html"
    wrapper.write_text(script.replace("WIDTH", str(width)).replace("SOURCE", page.as_uri()))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
               "--allow-file-access-from-files", "--window-size=1400,1000",
               "--virtual-time-budget=4000", wrapper.as_uri()]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title, dom[-2000:]
    measured = json.loads(title[1].replace("&quot;", '"'))
    assert measured["wide"] <= width
    assert measured["small"] >= 9, "text of figures is at least 9 pixels high"
    assert pointed in measured["text"], f"the pointer reads {measured}"
