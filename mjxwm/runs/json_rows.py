"""Rows of a record as text: a JSON object a line, the last field of which is the sum of the others.

JSON has no numbers for what is not finite: a line has the strings "NaN", "Infinity" and "-Infinity"
for them, and they are numbers again when it is read. Earlier lines, in which they stand without
quotation marks and which have no sum, are read as well.
"""

import json
import math
import zlib
from typing import Any

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_SUM = b', "crc32": "'
"""What comes before the sum: eight hexadecimal digits of CRC-32."""


def plain(value: Any) -> Any:
    """A row, or other values, as JSON has them: strings for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [plain(x) for x in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def encode(row: dict[str, Any]) -> bytes:
    """A row as a line, its end included. Floats are kept to six digits."""
    short = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()}
    text = json.dumps(plain(short), allow_nan=False).encode()
    return text[:-1] + _SUM + _total(text) + b'"}\n'


def decode(text: bytes) -> dict[str, Any] | None:
    """A line as a row, without its sum.

    It is None for a line that is not UTF-8, no JSON, has no whole number as its `iteration`, or
    does not fit its sum.
    """
    text = text.strip()
    fields, mark, end = text.rpartition(_SUM)
    if mark:
        text = fields + b"}"
        if end != _total(text) + b'"}':
            return None
    try:
        row = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get("iteration")) is not int:
        return None
    return numbers(row)


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A row of what `plain` made."""
    # A list cannot be looked up, and is nothing that a row has.
    return {k: _NOT_FINITE.get(v, v) if isinstance(v, str) else v for k, v in row.items()}


def has_sum(text: bytes) -> bool:
    """Whether a line ends with a sum, right or wrong."""
    return _SUM in text


def _total(text: bytes) -> bytes:
    return f"{zlib.crc32(text):08x}".encode()
