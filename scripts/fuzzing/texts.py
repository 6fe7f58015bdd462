"""Bytes made wrong: cut, flipped, repeated, in other encodings, with words that mean something."""

import re
from random import Random

NUMBERS = (
    *("0", "-1", "1", "2", "-0.0", "0.5", "1e-300", "1e300", "1e999", "-1e999"),
    *(".nan", "nan", ".inf", "-.inf", "inf", "Infinity", "NaN", str(2**31), str(2**32), str(2**63)),
    *(str(-(2**70)), "9" * 400, "9" * 5000, "0x" + "f" * 5000, "1_000", "0o17", "1:30", "3e-4"),
)
"""Numbers at the ends of ranges and beyond, as files and command lines have them."""
WORDS = (
    *("null", "~", "true", "no", "''", '""', "[]", "{}", "[[[]]]", "{a: 1}", "- 1", "2026-13-41"),
    *("\u00fc", "\u4e2d", "\U0001f600", "\ud800", "\0", "\r", "\t", "\x1b[31m"),
    *("%s%n", "{0}", "$HOME"),
    *("../..", "/", "/dev/zero", "/proc/self/mem", "file:///etc/passwd", ".", "..", "a" * 300),
    *("__class__", "__init__", "x" * 20_000),
)
"""Words that programs tend to take for something else."""


def mutated(rng: Random, content: bytes, words: tuple[str, ...] = (), most: int = 4) -> bytes:
    """`content` after one to `most` changes.

    Args:
        rng: random numbers.
        content: the bytes.
        words: pieces that mean something in this format, beside `WORDS`.
        most: changes.
    """
    for _ in range(rng.randint(1, most)):
        content = rng.choice(_CHANGES)(rng, content, words)
    return content


def _cut(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _flipped(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    data = bytearray(content)
    for _ in range(rng.randint(1, 4) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _without(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.randint(1, 40) :]


def _repeated(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.randint(1, 200)]
    return content[:start] + piece * rng.choice([2, 2, 3, 50, 1000]) + content[start:]


def _noise(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + rng.randbytes(rng.randint(1, 8)) + content[start:]


def _word(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    """A word in the place of another one of the content's own."""
    new = rng.choice([*words, *WORDS]).encode("utf-8", "surrogatepass")
    places = list(re.finditer(rb"[\w.+-]+", content))
    if not places:
        return content + new
    place = rng.choice(places)
    return content[: place.start()] + new + content[place.end() :]


def _number(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    places = list(re.finditer(rb"-?\d[\d.e+-]*", content))
    if not places:
        return content
    place = rng.choice(places)
    return content[: place.start()] + rng.choice(NUMBERS).encode() + content[place.end() :]


def _lines(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    """Lines in another order, twice, or indented otherwise."""
    lines = content.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(3)
    if change == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif change == 1:
        lines.insert(one, lines[other])
    else:
        lines[one] = rng.choice([b" ", b"    ", b"\t", b"- "]) + lines[one]
    return b"\n".join(lines)


def _encoded(rng: Random, content: bytes, words: tuple[str, ...]) -> bytes:
    if rng.random() < 0.7:  # rarely: nothing else is tried in such a file
        return _word(rng, content, words)
    text = content.decode("utf-8", "replace")
    return text.encode(rng.choice(["utf-16", "utf-32", "latin-1", "utf-8-sig", "cp037"]), "replace")


_CHANGES = (_cut, _flipped, _without, _repeated, _noise, _word, _word, _number, _number, _lines)
_CHANGES += (_encoded,)
