"""Warp's kernels are compiled for a GPU that is not here: those that it will start, as it will."""

import numpy as np
import pytest
import warp
from engine_cases import Bouncer
from mjxwm_envs.engines import warp_ahead, warp_calls, warp_worlds
from mjxwm_envs.engines.warp import Warp
from mjxwm_envs.env import load_model

pytestmark = pytest.mark.filterwarnings("ignore:engine='warp'")


@pytest.fixture(scope="module")
def engine():
    task = Bouncer()
    return Warp(load_model(task), 2, task.derived)


def test_what_starts_here_is_among_what_a_gpu_would_start(engine, monkeypatch):
    """All of it, once more with the block sizes of a GPU."""
    found = warp_ahead.variants(engine)
    started = set()

    def noting(start):
        def noted(kernel, dim, *args, **kwargs):
            if np.prod(dim):
                started.add(kernel.module)
            return start(kernel, *args, dim=dim, **kwargs)

        return noted

    for name in ("launch", "launch_tiled"):
        monkeypatch.setattr(warp, name, noting(getattr(warp, name)))
    worlds = engine.buffers(())
    for work in engine.works:
        worlds.run(work)
    assert len(started) > 20
    assert started <= {variant.module for variant in found}
    assert {32, 64, 128, 256} <= {variant.block for variant in found}


def test_nothing_is_computed_meanwhile(engine, monkeypatch):
    made = []
    kept = warp_worlds.Worlds.__init__

    def init(self, *args):
        kept(self, *args)
        made.append(self)

    monkeypatch.setattr(warp_worlds.Worlds, "__init__", init)
    warp_ahead.variants(engine)
    (worlds,) = made
    assert worlds.data.time.numpy() == 0
    np.testing.assert_array_equal(
        worlds.data.qpos.numpy()[0], engine.model.qpos0.astype(np.float32)
    )


def test_kernels_are_the_same_for_any_number_of_worlds(engine):
    names = [
        {(v.module.get_module_hash(v.block), v.block) for v in warp_ahead.variants(sized)}
        for sized in (engine, engine.for_worlds(5))
    ]
    assert names[0] == names[1]


def test_a_module_is_compiled_once_and_its_file_is_for_that_gpu(engine, monkeypatch, tmp_path):
    if 90 not in warp.get_cuda_supported_archs():
        pytest.skip("this Warp has no compiler for CUDA")
    monkeypatch.setattr(warp.config, "kernel_cache_dir", str(tmp_path))
    own = warp.get_module(warp_calls.__name__)
    (variant,) = (v for v in warp_ahead.variants(engine) if v.module is own)
    assert variant.compile(90)
    assert not variant.compile(90)
    (file,) = tmp_path.rglob("*.cubin")
    assert ".sm90" in file.name
