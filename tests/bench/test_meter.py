"""The meter of kernels as a command: what it compiles, what it refuses, what it measures."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import ConfigError, cli
from mjxwm.bench import comparing, record
from mjxwm.bench.meter import command as meter
from mjxwm.bench.meter import compiling, kernels, pallas, pricing, programs
from mjxwm.bench.meter import report as meter_report
from mjxwm.bench.meter.gpus import GPUS
from mjxwm.maths import platform
from mjxwm.runs import memory

H100 = GPUS["h100"]
INSTALLED = all(
    importlib.util.find_spec(name) for name in ("jax_cuda13_plugin", "jax_plugins", "nvidia")
)
compiles = pytest.mark.skipif(not INSTALLED, reason="the extra gpu-compile is not installed")


@pytest.fixture(autouse=True)
def _no_gpu_is_looked_for():
    compiling.leave_out_gpus_that_are_not_here()


def compiled(function, *shapes):
    done = compiling.compile_for(H100, function, *shapes, donate=False)
    return kernels.of(done.text)


def floats(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


@compiles
@pytest.mark.parametrize("scan", [jax.lax.scan, platform.scan])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_products_of_a_loop_unrolled_or_not(scan, dtype):
    """Five steps are five products, of the type that they are of."""

    def rolled(x, w):
        return scan(lambda x, _: (jnp.tanh(x @ w), None), x, None, 5)[0]

    found = compiled(rolled, floats(256, 128, dtype=dtype), floats(128, 128, dtype=dtype))
    assert found.by_kind()[kernels.PRODUCT] == 5
    assert found.flops == 5 * 2 * 256 * 128 * 128
    kinds = {product.kind for kernel in found.runs for product in kernel.products}
    assert kinds == {"tf32" if dtype == jnp.float32 else "bf16"}


@compiles
def test_a_kernel_of_pallas():
    """It is one kernel, and it is known what it reads and writes."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    def double(x_ref, y_ref):
        y_ref[...] = 2 * x_ref[...]

    block = pl.BlockSpec((64, 128), lambda i: (i, 0))

    def run(x):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return pl.pallas_call(
            double,
            shape,
            grid=(4,),
            in_specs=[block],
            out_specs=block,
            compiler_params=triton.CompilerParams(num_warps=4, num_stages=1),
        )(x)

    found = compiled(run, floats(256, 128))
    ((kernel, times),) = found.runs.items()
    assert (kernel.kind, times) == (kernels.PALLAS, 1)
    assert kernel.read == kernel.written == 4 * 256 * 128
    assert kernel.arrays == (("f32", (256, 128)),) * 2


@compiles
def test_work_within_pallas():
    """The program's text hides it: products, what blocks read again and again, and waits."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    def times(x_ref, w_ref, y_ref):
        def part(k, total):
            i = pl.ds(16 * k, 16)
            x, w = x_ref[:, i], w_ref[i, :]
            return total + jnp.dot(x, w, preferred_element_type=jnp.float32)

        y_ref[...] = jax.lax.fori_loop(0, 8, part, jnp.zeros((32, 64), jnp.float32))
        triton.debug_barrier()

    def run(x, w):
        return pl.pallas_call(
            times,
            jax.ShapeDtypeStruct((256, 64), jnp.float32),
            grid=(8,),
            in_specs=[
                pl.BlockSpec((32, 128), lambda i: (i, 0)),
                pl.BlockSpec((128, 64), lambda i: (0, 0)),
            ],
            out_specs=pl.BlockSpec((32, 64), lambda i: (i, 0)),
            compiler_params=triton.CompilerParams(num_warps=4, num_stages=1),
        )(x, w)

    shapes = floats(256, 128, dtype=jnp.bfloat16), floats(128, 64, dtype=jnp.bfloat16)
    counted = kernels.with_pallas(compiled(run, *shapes), pallas.works(run, *shapes))
    assert counted.flops == 2 * 256 * 128 * 64
    ((kernel, _),) = counted.runs.items()
    assert (kernel.kind, kernel.products[0].kind) == (kernels.PALLAS, "bf16")
    assert kernel.work == pallas.Work(8, counted.flops, 2 * (256 * 128 + 8 * 128 * 64), 1)
    assert pricing.of_kernel(H100, kernel) > pricing.LAUNCH


@compiles
def test_small_products_that_xla_finds_no_tiling_for():
    """They are compiled all the same."""
    exact = jax.lax.Precision.HIGHEST
    found = compiled(lambda x, w: jnp.dot(x, w, precision=exact), floats(1536, 3), floats(3, 3))
    assert found.count >= 1


@compiles
def test_a_donated_array_is_updated_in_place():
    """Of a large array one row is written."""
    done = compiling.compile_for(
        H100, lambda x, row: x.at[3].set(2 * row), floats(1000, 512), floats(512)
    )
    assert kernels.of(done.text).moved < 4 * 512 * 4
    assert done.memory.temp_size_in_bytes < 4 * 512 * 4


def test_the_extra_is_asked_for(monkeypatch, capsys):
    """Without it, or with one for another version of jax, the message says what to install."""
    monkeypatch.setattr(compiling, "_version", lambda name: None)
    assert cli.main(["bench", "kernels"]) == 2
    assert "pip install 'mjxwm[gpu-compile]'" in capsys.readouterr().err
    monkeypatch.setattr(compiling, "_version", lambda name: "0.1")
    with pytest.raises(ConfigError, match=r"is of version 0\.1, but jax of"):
        compiling.check_installed()


def subject(preset="debug", **changes):
    return meter._subject(meter.Config(preset=preset, engine="native", **changes))


def shapes(tree):
    return [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("debug", ["model update", "actor and critics update", "collection", "iteration"]),
        ("tdmpc2-dmc-cpu", ["update", "planner", "iteration"]),
        pytest.param("shac-cartpole", ["gradients", "critics update"], marks=pytest.mark.slow),
    ],
)
def test_programs_take_the_state_on(preset, names):
    """What a program returns first has the shapes of its first argument: so it can run again."""
    found = subject(preset) if "shac" not in preset else meter._subject(meter.Config(preset))
    assert [*found.programs][: len(names)] == names
    for name in names:
        program = found.programs[name]
        args = jax.eval_shape(program.args, found.state)
        after, _ = jax.eval_shape(program.function, *args)
        assert shapes(after) == shapes(args[0])
        assert program.runs >= 1


def row(name, temporary=0, **values):
    fields = {
        "runs": 1, "kernels": 10, "kinds": {kernels.COPY: 10}, "open_loops": 0, "moved": 0,
        "flops": 0, "seconds": 1e-3, "state": 0, "compile_s": 1.0, "measured": [], "slowest": [],
    }  # fmt: skip
    return meter_report.Row(name=name, temporary=temporary, **{**fields, **values})


def test_as_many_worlds_fit_as_their_state_and_their_temporaries_take():
    """The state that so many worlds really have, and temporaries in proportion, fill the room."""
    found, temporary = subject(worlds=64), 2_000_000
    rows = [row("collection", temporary), row("model update", 3_000_000)]
    fits = meter.fits(H100, found, rows)
    assert fits.worlds is not None
    state = memory.size(subject(worlds=fits.worlds).state)
    taken = state + temporary * fits.worlds / 64
    assert taken == pytest.approx(meter.SHARE * H100.memory, rel=0.02)
    whole = memory.size(found.state)
    assert fits.batch == pytest.approx((meter.SHARE * H100.memory - whole) / 3e6 * 16, rel=1e-3)
    assert meter.fits(H100, found, []) == meter_report.Fits(None, None)


def test_programs_are_measured_in_turns():
    """Each run goes on from the one before, and the state stays as it was."""
    state = jnp.zeros(3)
    program = programs.Program(lambda x, y: (x + y, {}), lambda s: (s, s + 1), 1, "both")
    times = meter.measure(program, state, 3)
    assert len(times) == 3
    assert min(times) > 0
    np.testing.assert_array_equal(state, 0)


def test_mistakes_are_named(capsys, monkeypatch):
    monkeypatch.setattr(compiling, "check_installed", lambda: None)
    cases = {
        "--preset ppo-ant": "takes presets of pwm, tdmpc2, shac, not of ppo",
        "--preset debug --programs modl": "program 'modl' is unknown; there are: model update",
        "--preset shac-cartpole --batch 3": "no batch of windows",
    }
    for args, message in cases.items():
        assert cli.main(["bench", "kernels", "--engine", "native", *args.split()]) == 2, args
        assert message in capsys.readouterr().err


def test_counts_are_compared_exactly():
    """Fewer kernels are better, however few samples there are."""
    old, new = (record.Series("update, kernels", "", [n], exact=True) for n in (5000.0, 500.0))
    assert comparing._change(old, new).verdict == "better"
    assert comparing._change(old, old).verdict == "same"


def test_a_report_in_words():
    found = row("model update", 5_000_000_000, measured=[2e-3], slowest=[("dot", "copy", 3, 1e-3)])
    text = meter_report.line(found, rows=1)
    for part in ("10 kernels", "about 1.00 ms", "measured 2.00 ms", "5.00 GB", "3 x dot"):
        assert part in text
    text = meter_report.summary([found, row("iteration")], meter_report.Fits(7, 8), H100)
    assert "1 x model update 1.0 ms; together 1.0 ms" in text
    assert "7 worlds or a batch of 8" in text


@compiles
@pytest.mark.gpu
def test_programs_are_measured_beside_the_estimate_where_a_gpu_is():
    report = meter.run(meter.Config("debug", programs=("model update",), samples=2), print)
    (found,) = report.details["programs"]
    assert len(found["measured"]) == 2
    assert 0.1 < found["measured"][0] / found["seconds"] < 10


MOST = {
    ("pwm-hopper-paper", "model update"): 420,
    ("pwm-hopper-paper", "actor and critics update"): 760,
    ("tdmpc2-dmc", "update"): 295,
    ("tdmpc2-dmc", "planner"): 292,
    ("shac-cartpole", "critics update"): 1800,
    ("pwm-hopper", "collection"): 75,
    ("pwm-muscle-humanoid", "collection"): 105,
}
"""Kernels that an update, an action of the planner, SHAC's 64 steps of the critics, and a
control step must not exceed."""


MOST_IN_BFLOAT16 = {"model update": 85, "actor and critics update": 231}
"""The same of PWM's hopper with `compute: bfloat16`, whose recurrence is one kernel."""


@compiles
@pytest.mark.slow
@pytest.mark.parametrize(("preset", "name"), MOST)
def test_no_more_kernels_than_before(preset, name):
    report = meter.run(
        meter.Config(
            preset=preset,
            programs=(name,),
            engine={"collection": "warp", "critics update": "mjx"}.get(name, "native"),
            worlds={"collection": 4096, "planner": 64}.get(name),
        ),
        print,
    )
    (found,) = report.details["programs"]
    assert found["kernels"] <= MOST[preset, name]


@compiles
@pytest.mark.slow
@pytest.mark.parametrize("name", MOST_IN_BFLOAT16)
def test_no_more_kernels_in_bfloat16_than_before(tmp_path, name):
    preset = tmp_path / "hopper.yaml"
    preset.write_text("base: pwm-hopper-paper\nalgo: {compute: bfloat16}\n")
    report = meter.run(meter.Config(str(preset), programs=(name,), engine="native"), print)
    (found,) = report.details["programs"]
    assert found["kernels"] <= MOST_IN_BFLOAT16[name]
    assert found["kinds"][kernels.PALLAS] > 0


def test_what_blocks_read_again_takes_time():
    """Few blocks that each read much are bound by what one multiprocessor can take in."""

    def seconds(blocks, loaded, waits=0):
        work = pallas.Work(blocks, 0, loaded, waits)
        kernel = kernels.Kernel("kernel", kernels.PALLAS, 10**6, 10**6, work=work)
        return pricing.of_kernel(H100, kernel)

    one, many = seconds(1, 10**8), seconds(132, 132 * 10**8)
    assert one > 1e-3
    assert one < many < 3 * one
    assert seconds(133, 133 * 10**8) > many
    assert seconds(1, 10**8, waits=100) > one + 1e-4
    assert seconds(1, 0) == pytest.approx(seconds(132, 0))
