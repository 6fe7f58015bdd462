"""What all tests share."""

import dataclasses
import gc
import os

import jax
import pytest
from hypothesis import settings

# The first example compiles, so no deadline; the same examples every time, so no flakes.
settings.register_profile("mjxwm", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("mjxwm")


def pytest_configure(config):
    """The default tests' programs run for moments and compile for seconds: XLA leaves out LLVM's
    optimisations, which halves that. It reads the flag when it compiles first; processes that tests
    start inherit it. Slow tests learn for minutes, or compile for a GPU, which knows no such level.
    """
    if config.option.markexpr == "not slow and not gpu":
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"--xla_backend_optimization_level=0 {flags}".strip()


@pytest.fixture(scope="module")
def shared_programs():
    """Runs of equal settings share their compiled programs, which are most of a run's time here."""
    from mjxwm.runs import build as building
    from mjxwm.runs import loop, start

    trainers, real = {}, building.build

    def build(config, fits=True, seeds=None):
        settings = repr((dataclasses.replace(config, seed=0), seeds))  # a seed changes no program
        if settings not in trainers:
            trainers[settings] = real(config, seeds=seeds)
        return trainers[settings]._replace(config=config)

    with pytest.MonkeyPatch.context() as patch:
        for module in (loop, building, start):
            patch.setattr(module, "build", build)
        yield


@pytest.fixture(autouse=True, scope="module")
def forgotten_programs():
    """A file's compiled programs go with it: a worker that keeps all of them needs 13 GB."""
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def key():
    return jax.random.key(0)
