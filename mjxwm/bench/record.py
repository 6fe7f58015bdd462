"""What a benchmark found: text for people, and series of samples that later ones compare with."""

import dataclasses
import datetime
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from mjxwm import ConfigError
from mjxwm.runs import system


class Series(NamedTuple):
    """One quantity, measured several times."""

    name: str
    """The same in every run of a benchmark under equal settings."""
    unit: str
    samples: list[float]
    more_is_better: bool = False
    """As for rates; times are better when they are less."""
    exact: bool = False
    """The same in every run, as counts are: one sample says it all."""


class Report(NamedTuple):
    """What a benchmark found."""

    text: str
    series: list[Series]
    details: Any = None
    """Plain values beside the series."""


def to_json(benchmark: str, config: Any, report: Report) -> dict[str, Any]:
    """Plain values: the report with commit, versions, machine and date."""
    return {
        "benchmark": benchmark,
        "config": dataclasses.asdict(config),
        "date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
        "system": system.describe(),
        "series": [series._asdict() for series in report.series],
        "details": report.details,
    }


def load(path: Path) -> tuple[dict[str, Any], list[Series]]:
    """A report that was written as JSON, and its series.

    Raises:
        ConfigError: the file is missing or not a report.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        series = [_checked(Series(**series)) for series in values["series"]]
        for name, kind in (("benchmark", str), ("config", dict), ("system", dict)):
            if not isinstance(values[name], kind):
                raise TypeError(name)
        return values, [s for s in series if s.samples and all(x > 0 for x in s.samples)]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not a benchmark's report; `mjxwm bench NAME --json FILE` writes one"
        ) from error


def _checked(series: Series) -> Series:
    """A series of a file.

    Raises:
        TypeError: a name is no word, or a sample no number.
        ValueError: a sample is not finite.
    """
    if not (isinstance(series.name, str) and isinstance(series.unit, str)):
        raise TypeError("a name")
    samples = [float(x) for x in series.samples]
    if not all(map(math.isfinite, samples)):
        raise ValueError("a sample")
    return series._replace(samples=samples)
