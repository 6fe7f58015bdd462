"""What all tests share."""

import jax
import pytest
from hypothesis import settings

from mjxwm import system

system.choose_rendering()  # before anything imports MuJoCo

# The first example compiles, so no deadline; the same examples every time, so no flakes.
settings.register_profile("mjxwm", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("mjxwm")


@pytest.fixture
def key():
    return jax.random.key(0)
