"""Forms that programs have on a GPU against those that they have on a CPU, both run here."""

import jax
import numpy as np

from mjxwm.maths import platform


def on_both(fn, *args):
    """What `fn`, compiled, gives in the form for a CPU and in that for a GPU."""
    results = []
    for name in ("cpu", "gpu"):
        with platform.compiling_for(name):
            results.append(jax.jit(fn)(*args))
    return results


def assert_equal(trees, rtol=1e-9, atol=1e-11):
    """Of one structure and type, and equal up to rounding in double precision."""
    cpu, gpu = trees
    assert jax.tree.structure(cpu) == jax.tree.structure(gpu)
    for a, b in zip(jax.tree.leaves(cpu), jax.tree.leaves(gpu), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
