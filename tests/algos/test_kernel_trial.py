"""Kernels of Pallas are tried before a run learns with them, and left where they fail."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import pytest

from mjxwm.algos import pwm
from mjxwm.algos.pwm import kernel_trial
from mjxwm.maths import platform
from mjxwm.models import actor_critic, mlp_kernel, world_model
from mjxwm.models.world_model import one_kernel
from mjxwm.runs import compilation
from mjxwm.types import Sizes

CONFIG = pwm.Config(
    batch=32,
    horizon=3,
    imagine_batch=16,
    imagine_horizon=3,
    compute="bfloat16",
    model=world_model.Config(latent=16, encoder=(16,), hidden=(16,)),
    # One critic: JAX has no products of an ensemble in bfloat16 on a CPU.
    policy=actor_critic.Config(actor=(16,), critic=(16,), critics=1),
)
SIZES = Sizes(obs_size=3, action_size=2, episode_length=10)


@pytest.fixture
def run_by_jax(monkeypatch):
    """Kernels run on a CPU, by JAX."""
    for module, name in ((one_kernel, "rolled_out"), (mlp_kernel, "applied")):
        function = functools.partial(getattr(module, name), interpret=True)
        monkeypatch.setattr(module, name, function)


def tried(seeds=1, **changes):
    with platform.compiling_for("gpu"):
        return pwm.trial(dataclasses.replace(CONFIG, **changes), SIZES, seeds)


def test_arrays_may_differ_by_rounding_alone():
    plain = {"a": jnp.array([1.0, 100.0]), "b": jnp.zeros(2)}

    def of(a, b=0.0):
        return kernel_trial.difference(plain, {"a": jnp.array([a, 100.0]), "b": b + jnp.zeros(2)})

    assert of(1.4) == of(1.0, 1e-7) == ""  # 0.4 of 100
    assert of(9.0).startswith("['a'] differs by 8 ")
    assert of(1.0, 1e-3).startswith("['b'] differs")
    assert of(1.0, jnp.nan).startswith("['b'] differs by nan")


def test_the_lowest_critic_is_always_the_same(key):
    """Else rounding decides whose gradient the actor gets: on an H100 right kernels were refused,
    as single gradients were apart by 38 % of the largest."""
    policy = dataclasses.replace(CONFIG.policy, critics=3)
    (_, _, critics), *_ = kernel_trial._inputs(
        dataclasses.replace(CONFIG, policy=policy), SIZES, seeds=1
    )
    z = jax.nn.softmax(jax.random.normal(key, (512, 16)))
    values = actor_critic.values(kernel_trial._in_order(critics), z)
    assert (values.argmin(axis=0) == 0).all()
    assert len(set(actor_critic.values(critics, z).argmin(axis=0).tolist())) > 1


@pytest.mark.slow
def test_rounding_alone_is_no_reason():
    """The plain form in bfloat16 against the plain form in float32."""
    config = dataclasses.replace(
        CONFIG, policy=dataclasses.replace(CONFIG.policy, critics=2), imagine_batch=256
    )
    inputs = kernel_trial._inputs(config, SIZES, 1)
    exact, rounded = (
        jax.jit(functools.partial(kernel_trial._gradients, config, dtype=dtype))(*inputs)
        for dtype in ("float32", "bfloat16")
    )
    assert kernel_trial.difference(exact, rounded) == ""


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 2])
def test_kernels_that_are_right_are_kept(run_by_jax, seeds):
    assert tried(seeds) == ""


@pytest.mark.slow
def test_wrong_critics_are_a_reason(run_by_jax, monkeypatch):
    """Critics run in the kernel of plain layers: here it gives 10 % more."""
    right = mlp_kernel.applied
    monkeypatch.setattr(mlp_kernel, "applied", lambda *a, **k: 1.1 * right(*a, **k))
    assert "differs by" in tried()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [lambda z: 1.2 * z, lambda z: z * jnp.nan])
def test_other_numbers_are_a_reason(run_by_jax, monkeypatch, wrong):
    right = one_kernel.rolled_out

    def rolled_out(*args, **options):
        z, u = right(*args, **options)
        return wrong(z), u

    monkeypatch.setattr(one_kernel, "rolled_out", rolled_out)
    assert "differs by" in tried()


def test_a_compiler_that_refuses_them_is_a_reason():
    assert "interpret mode" in tried()  # as a CPU's does


def test_rows_that_no_block_takes_are_a_reason():
    assert tried(batch=100, imagine_batch=24) == (
        "batch=100, imagine_batch=24 is no multiple of 16, the rows of a block"
    )


def test_gpus_without_the_memory_for_them_do_without():
    for capability, takes in (((9, 0), True), ((8, 0), True), ((8, 9), False)):
        with platform.compiling_for_gpu(capability):
            assert platform.takes_pallas() == takes


def test_where_they_do_not_serve_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(jax, "jit", None)
    assert pwm.trial(CONFIG, SIZES) == ""  # on a CPU


def test_a_run_does_without_kernels_that_fail(monkeypatch, capsys):
    forgotten = []
    monkeypatch.setattr(platform, "_refused", [])
    monkeypatch.setattr(jax, "clear_caches", lambda: forgotten.append(1))
    with platform.compiling_for("gpu"):
        assert platform.takes_pallas()
        compilation.try_kernels(lambda seeds: "they melt")
        assert not platform.takes_pallas()
    assert forgotten  # else programs with these kernels would run on
    assert "layer by layer; the fast ones do not serve here: they melt" in capsys.readouterr().out
