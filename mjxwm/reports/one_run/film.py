"""The run's video in its page: within it where it is small, else beside it."""

import base64
import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

from mjxwm.reports.one_run.material import Material
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html, escaped

LARGEST = 1_500_000
"""Bytes of a video up to which it is within the page: so the page stays below 3 MB, of which the
video is four thirds of its size, and goes by itself where a larger one needs the file beside it."""
_PICTURES, _PICTURE_WIDTH = 5, 240
"""Pictures of the strip that stands for the video in print, and their width [pixels]."""


def part(material: Material) -> Html:
    """The video, with a strip of pictures of it for print; a word where there is none."""
    path = material.run.video
    if not path.is_file() or not path.stat().st_size:
        return Html("")
    data = path.read_bytes()
    inside = len(data) <= LARGEST
    source = f"data:video/mp4;base64,{base64.b64encode(data).decode()}" if inside else path.name
    pictures = _strip(path)
    poster = f' poster="{pictures[len(pictures) // 2]}"' if pictures else ""
    strip = "".join(f'<img src="{picture}" alt="">' for picture in pictures)
    where = "" if inside else f" It is the file {escaped(path.name)} beside this page."
    caption = page.caption(
        "The first episode of the last evaluation, 20 s of it at most: deterministic, closed loop."
        + where,
        "a high return by other means than meant: look here before you trust a number.",
    )
    return Html(
        f"<figure><h3>The policy at the end</h3><video controls loop muted playsinline{poster} "
        f'src="{escaped(source)}"></video><div class="strip">{strip}</div>{caption}</figure>'
    )


def _strip(path: Path) -> list[str]:
    """Pictures of a video, evenly over it, as data of the page; empty if it cannot be read."""
    try:
        import imageio.v2 as imageio

        with warnings.catch_warnings():
            # The decoder is a child process that is executed at once: JAX's threads do not matter.
            warnings.filterwarnings("ignore", message="os.fork")
            reader: Any = imageio.get_reader(path, "ffmpeg")  # type: ignore[arg-type]
        with contextlib.closing(reader):
            total = reader.count_frames()
            at = [round((i + 0.5) * total / _PICTURES) for i in range(_PICTURES)]
            return [_picture(reader.get_data(min(index, total - 1))) for index in at]
    except (ImportError, OSError, IndexError, ValueError, RuntimeError):
        return []


def _picture(frame: Any) -> str:
    from PIL import Image

    image = Image.fromarray(frame)
    image.thumbnail((_PICTURE_WIDTH, _PICTURE_WIDTH))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
