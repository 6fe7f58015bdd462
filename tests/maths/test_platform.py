"""Programs can be traced for a platform whose devices are not here."""

import jax
import jax.numpy as jnp

from mjxwm.maths import platform


def test_a_jitted_function_is_traced_anew_for_another_platform():
    """jit's caches tell platforms apart, and the default is that of the devices."""
    default = platform.compiled_for()
    other = "cpu" if default == "gpu" else "gpu"
    traced = []

    @jax.jit
    def double(x):
        traced.append(platform.compiled_for())
        return 2 * x

    double(1.0)
    with platform.compiling_for(other):
        double.lower(1.0)
    double(1.0)
    assert traced == [default, other]
    assert (
        platform.compiled_for() == default == ("cpu" if jax.default_backend() == "cpu" else "gpu")
    )


def test_loops_over_time_are_unrolled_on_a_gpu_and_give_the_same():
    """A running sum, 5 steps."""
    x = jnp.arange(5.0)

    @jax.jit
    def sums(x):
        return platform.scan(lambda total, x: (total + x, total + x), 0.0, x)[1]

    results = []
    for name, loops in (("cpu", 1), ("gpu", 0)):
        with platform.compiling_for(name):
            assert sums.lower(x).as_text().count("stablehlo.while") == loops
            results.append(sums(x))
            count = platform.scan(lambda n, _: (n + 1, n), 0, None, 3)[1]
            assert (count == jnp.arange(3)).all()
    assert (results[0] == results[1]).all()
