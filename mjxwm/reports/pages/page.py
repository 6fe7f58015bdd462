"""HTML of a page and of its parts. What is plain text is escaped; what is `Html` is taken as is."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from mjxwm.reports.pages import charts
from mjxwm.reports.pages.charts import Chart

_FOLDER = Path(__file__).parent
WIDE, NARROW = (800, 340), (380, 250)
"""Width and height of figures [pixels]: alone in a row, and several side by side or on a phone."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def escaped(text: object) -> str:
    """Text as HTML has it."""
    return text if isinstance(text, Html) else html.escape(str(text), quote=True)


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page.

    Args:
        title: of the window.
        parts: HTML of its parts, from `header` to `footer`.
    """
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escaped(title)}</title>\n<style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + f"\n</main>\n<script>\n{script}</script></body></html>\n"
    )


def header(title: str, badge: str = "", kind: str = "", about: str = "") -> Html:
    """The top of a page.

    Args:
        title: the page's.
        badge: a word on how it stands.
        kind: the badge's colour: good, bad or plain.
        about: a line below the title.
    """
    mark = f' <span class="badge {kind}">{escaped(badge)}</span>' if badge else ""
    line = f'<p class="about">{escaped(about)}</p>' if about else ""
    return Html(f"<header><h1>{escaped(title)}{mark}</h1>{line}</header>")


def contents(sections: Iterable[tuple[str, str]]) -> Html:
    """Links to sections: (identifier, title) of each."""
    links = (f'<a href="#{name}">{escaped(title)}</a>' for name, title in sections)
    return Html(f"<nav>{''.join(links)}</nav>")


def section(name: str, title: str, parts: Iterable[str]) -> Html:
    """A section with its title; nothing where it has no parts."""
    body = "\n".join(part for part in parts if part)
    return Html(f'<section id="{name}"><h2>{escaped(title)}</h2>\n{body}</section>' if body else "")


def cards(values: Iterable[tuple[str, str, str]]) -> Html:
    """Key numbers: what it is, the number, and a word on it."""
    parts = (
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}<small>{escaped(note)}</small></dd></div>"
        for name, value, note in values
    )
    return Html(f'<dl class="cards">{"".join(parts)}</dl>')


def paragraph(text: str, kind: str = "") -> Html:
    """A paragraph."""
    attribute = f' class="{kind}"' if kind else ""
    return Html(f"<p{attribute}>{escaped(text)}</p>")


def bullets(items: Iterable[str], kind: str = "") -> Html:
    """A list."""
    attribute = f' class="{kind}"' if kind else ""
    return Html(f"<ul{attribute}>{''.join(f'<li>{escaped(item)}</li>' for item in items)}</ul>")


def grid(parts: Iterable[str]) -> Html:
    """Figures side by side, as many as there is room for."""
    body = "\n".join(part for part in parts if part)
    return Html(f'<div class="figures">{body}</div>' if body else "")


def figure(title: str, chart: Chart, shows: str = "", bad: str = "", wide: bool = False) -> Html:
    """A chart with its legend, and what it shows; nothing where there is no value to draw.

    Args:
        title: above it.
        chart: what is drawn.
        shows: a sentence on what it shows.
        bad: a sentence on what a bad one looks like.
        wide: whether it is alone in its row where there is room.
    """
    if not charts.drawn(chart):
        return Html("")
    if wide:
        pictures = (
            f'<div class="only-wide">{charts.svg(chart, *WIDE, title)}</div>'
            f'<div class="only-narrow">{charts.svg(chart, *NARROW, title)}</div>'
        )
    else:
        pictures = charts.svg(chart, *NARROW, title)
    words = caption(shows, bad)
    kind = ' class="wide"' if wide else ""
    return Html(
        f"<figure{kind}><h3>{escaped(title)}</h3>{charts.legend(chart)}{pictures}{words}</figure>"
    )


def caption(shows: str, bad: str = "") -> Html:
    """What a figure shows, and what a bad one looks like."""
    warning = f' <span class="bad-looks"><b>Bad:</b> {escaped(bad)}</span>' if bad else ""
    text = f"{escaped(shows)}{warning}"
    return Html(f"<figcaption>{text}</figcaption>" if text else "")


def missing(what: str, why: str) -> Html:
    """A line in place of something that a report lacks."""
    return Html(f'<p class="missing"><b>{escaped(what)}</b>: {escaped(why)}</p>')


def table(head: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "") -> Html:
    """A table, which scrolls by itself where it is wider than the page.

    Args:
        head: names of the columns.
        rows: cells; those after the first of a row are set as numbers.
        kind: "words" where all cells are words.
    """
    top = "".join(f"<th>{escaped(name)}</th>" for name in head)
    body = "\n".join(
        f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    attribute = f' class="{kind}"' if kind else ""
    return Html(
        f'<div class="scroll" tabindex="0"><table{attribute}><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def command(text: str, about: str = "") -> Html:
    """A command to paste, with what it does."""
    line = f"<p>{escaped(about)}</p>" if about else ""
    return Html(f'<div class="command">{line}<pre><code>{escaped(text)}</code></pre></div>')


def details(summary: str, parts: Iterable[str]) -> Html:
    """What is shown once the summary is clicked at, and in print."""
    body = "\n".join(part for part in parts if part)
    return Html(f"<details><summary>{escaped(summary)}</summary>\n{body}</details>" if body else "")
