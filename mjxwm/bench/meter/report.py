"""What the meter of kernels found, as text and as series."""

import statistics
from typing import NamedTuple

from mjxwm.bench.meter.gpus import Gpu
from mjxwm.bench.record import Series

SHARE = 0.75
"""Share of a GPU's memory that JAX takes by default."""


class Row(NamedTuple):
    """One program."""

    name: str
    runs: int
    """Times that it runs in an iteration."""
    kernels: int
    """That XLA compiled, copies included."""
    kinds: dict[str, int]
    """Their number by kind, and that of Warp's kernels and calls."""
    open_loops: int
    """Loops whose turns depend on the data; they are counted once."""
    moved: int
    """Bytes that XLA's kernels read and write."""
    flops: int
    """Operations of their matrix products."""
    seconds: float
    """Estimated."""
    state: int
    """Bytes of its arguments and results."""
    temporary: int
    """Bytes beside these."""
    compile_s: float
    """From tracing to machine code [s]."""
    measured: list[float]
    """Seconds of a run by turn, on the GPU that is here; empty without one."""
    slowest: list[tuple[str, str, int, float]]
    """Name, kind, runs and seconds of the kernels that take most time."""


class Fits(NamedTuple):
    """What a GPU's memory has room for, scaled from the sizes that were compiled."""

    worlds: int | None
    """Most worlds, all else equal; None if no program was compiled that grows with them."""
    batch: int | None
    """Largest batch, likewise."""
    in_warp: int = 0
    """Bytes of MuJoCo Warp's own buffers, which have to fit into what JAX leaves free."""


def line(row: Row, rows: int = 0) -> str:
    """A program as text."""
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in row.kinds.items())
    loops = f"; {row.open_loops} loops of unknown length counted once" if row.open_loops else ""
    took = f", measured {1e3 * statistics.median(row.measured):.2f} ms" if row.measured else ""
    held = f"{_bytes(row.state + row.temporary)}, {_bytes(row.temporary)} of it temporary"
    lines = [
        f"{row.name}: {row.kernels:,} kernels, {_bytes(row.moved)} moved, "
        f"{row.flops / 1e9:.0f} GFLOP, about {1e3 * row.seconds:.2f} ms{took}; memory {held}; "
        f"compiled in {row.compile_s:.0f} s",
        f"   {kinds}{loops}",
    ]
    for name, kind, runs, seconds in row.slowest[:rows]:
        lines.append(f"   {1e3 * seconds:9.3f} ms {runs:7,} x {name[:50]} ({kind})")
    return "\n".join(lines)


def summary(rows: list[Row], room: Fits, gpu: Gpu) -> str:
    """The parts of an iteration, and what the memory has room for."""
    parts = [row for row in rows if row.name != "iteration"]
    total = sum(row.runs * row.seconds for row in parts)
    each = ", ".join(
        f"{row.runs} x {row.name} {1e3 * row.runs * row.seconds:.1f} ms" for row in parts
    )
    lines = [f"of an iteration: {each}; together {1e3 * total:.1f} ms"] if parts else []
    most = [f"{room.worlds:,} worlds"] if room.worlds is not None else []
    most += [f"a batch of {room.batch:,}"] if room.batch is not None else []
    if most:
        lines.append(
            f"{SHARE:.0%} of {gpu.memory / 1e9:.0f} GB hold about {' or '.join(most)}, "
            "all else equal"
        )
    if room.in_warp:
        lines.append(f"beside that MuJoCo Warp's own buffers take {_bytes(room.in_warp)}")
    return "\n".join(lines)


def series(rows: list[Row]) -> list[Series]:
    """What later reports are compared with."""
    all_series = []
    for row in rows:
        all_series.append(Series(f"{row.name}, kernels", "", [float(row.kernels)], exact=True))
        all_series.append(Series(f"{row.name}, estimate", "s", [row.seconds], exact=True))
        all_series.append(Series(f"{row.name}, compilation", "s", [row.compile_s]))
        if row.measured:
            all_series.append(Series(f"{row.name}, measured", "s", row.measured))
    return all_series


def _bytes(number: float) -> str:
    return f"{number / 1e9:.2f} GB" if number >= 1e8 else f"{number / 1e6:.2f} MB"
