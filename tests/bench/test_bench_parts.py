"""The benchmarks' common parts: counts of operations, reports, comparisons, the command."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import ConfigError, cli
from mjxwm.bench import buffers, comparing, flops, record, scaling


def test_operations_of_matrix_products():
    """2 i k j for a product, three times that with its gradients, and each turn of a loop."""
    a, b = jnp.ones((3, 4)), jnp.ones((4, 5))
    assert flops.count(jnp.matmul, a, b) == 2 * 3 * 4 * 5
    gradient = jax.grad(lambda a, b: (a @ b).sum(), argnums=(0, 1))
    assert flops.count(gradient, a, b) == 3 * 120

    def looped(a, b):
        return jax.lax.scan(lambda c, _: (c + jax.jit(jnp.matmul)(a, b), None), 0 * a @ b, None, 7)

    assert flops.count(looped, a, b) == 8 * 120
    assert flops.count(lambda a, b: jax.lax.cond(True, jnp.matmul, lambda a, b: 0 * a[:, :1] * b[0], a, b), a, b) == 120  # fmt: skip  # noqa: E501
    with pytest.raises(ValueError, match="not known"):
        flops.count(
            lambda a: jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ x, a), a @ a.T
        )


def test_operations_of_a_batched_product():
    """The batch counts, the contraction is not counted twice."""
    a, b = jnp.ones((6, 3, 4)), jnp.ones((6, 4, 5))
    assert flops.count(jnp.matmul, a, b) == 6 * 2 * 3 * 4 * 5


def report(path, samples, more=False, benchmark="replay", **settings):
    series = record.Series("update", "s", samples, more)
    found = record.Report("", [series])
    path.write_text(json.dumps(record.to_json(benchmark, buffers.Config(**settings), found)))
    return path


@pytest.mark.parametrize(
    ("factor", "more", "verdict"),
    [(0.5, False, "better"), (0.5, True, "worse"), (2.0, True, "better"), (1.0, False, "same")],
)
def test_what_changed_beyond_the_noise(tmp_path, factor, more, verdict):
    """Half the time is better, half the rate is worse; equal distributions are the same."""
    rng = np.random.default_rng(0)
    old, new = (1 + 0.05 * rng.standard_normal((2, 15))).tolist()
    new = [factor * x for x in new]
    paths = [report(tmp_path / "old", old, more=more), report(tmp_path / "new", new, more=more)]
    (change,) = comparing.compare(*paths)
    assert change.verdict == verdict
    assert change.interval[0] <= change.ratio <= change.interval[1]
    text = comparing.table(*paths, [change])
    assert f"{change.ratio:.3f}" in text
    assert "setting" not in text


def test_what_cannot_be_compared(tmp_path):
    """Few samples say nothing, other settings are shown, other benchmarks are refused."""
    old = report(tmp_path / "old", [1.0, 1.1, 1.2, 1.3])
    new = report(tmp_path / "new", [5.0, 5.1, 5.2, 5.3, 5.4], batch=64)
    (change,) = comparing.compare(old, new)
    assert change.verdict == "unknown"
    assert "setting batch: 256 before, 64 after" in comparing.table(old, new, [change])
    with pytest.raises(ConfigError, match=r"is of bench replay, .* of bench train"):
        comparing.compare(old, report(tmp_path / "other", [1.0], benchmark="train"))


def test_the_interval_covers():
    """Of many pairs of equal series, about 1 in 20 has an interval without 1 in it."""
    rng = np.random.default_rng(1)
    pairs = rng.lognormal(0, 0.1, (200, 2, 9))
    missed = 0
    for old, new in pairs.tolist():
        low, high = comparing.interval(old, new)
        missed += not low <= 1 <= high
    assert missed <= 20


def test_files_that_are_no_reports(tmp_path, capsys):
    """Each is refused by name."""
    good = report(tmp_path / "good", [1.0])
    (tmp_path / "bad").write_text("{}")
    whole = json.loads(good.read_text())
    series = whole["series"][0]
    for wrong in (
        *({"series": [{**series, "samples": bad}]} for bad in (["a"], [None], [float("nan")], 3)),
        *({"config": 1}, {"system": []}, {"benchmark": None}, {"series": [{**series, "name": 1}]}),
    ):
        (tmp_path / "bad").write_text(json.dumps({**whole, **wrong}))
        with pytest.raises(ConfigError, match=r"bad is not a benchmark's report"):
            comparing.compare(good, tmp_path / "bad")
    (tmp_path / "bad").write_text("{}")
    with pytest.raises(ConfigError, match=r"bad is not a benchmark's report"):
        comparing.compare(good, tmp_path / "bad")
    with pytest.raises(ConfigError, match=r"absent: No such file"):
        comparing.compare(tmp_path / "absent", good)
    values = json.loads(good.read_text())
    values["series"][0]["name"] = "other"
    (tmp_path / "other").write_text(json.dumps(values))
    assert cli.main(["bench", "compare", str(good), str(tmp_path / "other")]) == 2
    assert "no series in common" in capsys.readouterr().err


def test_collectives_are_counted_in_a_program():
    """As XLA writes them, variadic and asynchronous ones included."""
    text = """
    %all-reduce.1 = (f32[3]{0}, f32[]) all-reduce(%a, %b), channel_id=1
    %get-tuple-element = f32[3]{0} get-tuple-element(%all-reduce.1), index=0
    %start = f32[8]{0} all-gather-start(%c), dimensions={0}
    %done = f32[8]{0} all-gather-done(%start)
    """
    assert scaling.collectives(text) == 2


TINY = {
    "replay": "--worlds 4 --capacity 64 --unroll 4 --batch 4 --length 3 --samples 2 --seconds 0",
    "train": "--preset debug --iterations 1 --samples 2",
    "scaling": "--preset debug --worlds 4 --devices 1 2 --samples 2 --worlds-per-device 8",
    "sim": "--task cartpole-swingup --preset debug --worlds 4 --steps 16 --samples 2 "
    "--act-in bfloat16",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in ("scaling", "train") else ()) for n in TINY],
)
def test_a_benchmark_from_the_command_line(name, tmp_path, capsys):
    """It prints a table and writes series that can be compared with themselves."""
    target = str(tmp_path / "report.json")
    assert cli.main(["bench", name, *TINY[name].split(), "--json", target]) == 0
    assert capsys.readouterr().out.count("\n") >= 3
    assert cli.main(["bench", "compare", target, target]) == 0
    out = capsys.readouterr().out
    assert "unknown" in out


def test_mistakes_of_benchmarks_are_named(capsys):
    """Unknown names with the nearest, sizes out of range, presets of another algorithm."""
    cases = {
        "bench repay": "did you mean 'replay'",
        "bench replay --batch 0": "batch=0 is out of range",
        "bench train --preset ppo-hopper-cpu": "is of ppo",
        "bench scaling --preset shac-hopper": "is of shac",
        "bench scaling --worlds 0": "at least 1",
    }
    for args, message in cases.items():
        assert cli.main(args.split()) == 2, args
        assert message in capsys.readouterr().err
