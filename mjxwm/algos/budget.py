"""Base classes of the algorithms' configurations: numbers of env steps, iterations, updates."""

from collections.abc import Mapping
from typing import Any, ClassVar

from mjxwm import ConfigError

_MAX_UPDATES_PER_STEP = 16
"""Actor updates per control step of a world, above which learning has been seen to fail
(docs/performance.md, How many worlds)."""


class AlgorithmConfig:
    """Base of all algorithms' configurations: what the training loop reads of them."""

    worlds: int
    """Worlds stepped in parallel (B); 0 for algorithms that learn from a data set."""
    env_steps: int
    """Env steps to collect in all, over all worlds; 0 for algorithms that learn from a data set."""
    spread: ClassVar[tuple[str, ...]] = ()
    """Names of fields whose values must be multiples of the number of devices."""
    falling: ClassVar[tuple[str, ...]] = ()
    """Names of the learning rates that fall linearly to `final_lr` over the whole budget."""

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration, over all worlds."""
        raise NotImplementedError

    @property
    def iterations(self) -> int:
        """Iterations until `env_steps` are taken, at least one."""
        return max(1, -(-self.env_steps // self.steps_per_iteration))

    @property
    def updates(self) -> int:
        """Updates per iteration."""
        raise NotImplementedError

    @property
    def gradient_steps(self) -> int:
        """Steps of optimisers per iteration, those of all networks; by default `updates`.

        What is no network, such as the weight of the entropy, does not count.
        """
        return self.updates

    def updates_after(self, iteration: int) -> int:
        """Updates made after so many iterations."""
        return iteration * self.updates

    def summary(self) -> list[str]:
        """Lines to print when a run starts, by algorithms that learn from a data set."""
        return []

    def remarks(self) -> list[str]:
        """Warnings to print before a run whose settings have an unexpected effect."""
        return []

    def advice(self, metrics: Mapping[str, Any]) -> str:
        """What the algorithm knows about why the guard stopped a run at an iteration with these
        metrics, and what to do; "" where that is nothing in particular.
        """
        return ""


class Replayed(AlgorithmConfig):
    """Base of the configurations of algorithms with a replay buffer: PWM and TD-MPC2."""

    unroll: int
    warmup: int
    update_ratio: float
    batch: int
    horizon: int

    @property
    def steps_per_iteration(self) -> int:
        """Env steps of an iteration, over all worlds."""
        return self.worlds * self.unroll

    @property
    def iterations(self) -> int:
        """Iterations until `env_steps` are taken, at least one."""
        left = self.env_steps - self.warmup * self.steps_per_iteration
        return max(1, -(-left // self.steps_per_iteration))

    def rounds(self, model_steps: int = 1) -> int:
        """Actor updates per iteration, with `model_steps` model updates for each of them.

        As many as replay `update_ratio` transitions for each one collected, at least one.
        """
        replayed = self.update_ratio * self.steps_per_iteration
        return max(1, round(replayed / (self.batch * self.horizon * model_steps)))

    @property
    def updates(self) -> int:
        """World-model updates per iteration."""
        return self.rounds()

    @property
    def policy_updates(self) -> int:
        """Actor updates per iteration."""
        return self.rounds()

    def remarks(self) -> list[str]:
        """Warnings to print before a run whose settings have an unexpected effect."""
        return [remark for remark in (self.lag(), self.rounded()) if remark]

    def rounded(self) -> str:
        """A warning if whole updates per iteration give a very different ratio, else ""."""
        update = self.batch * self.horizon * self.updates // self.policy_updates
        comes_to = update * self.policy_updates / self.steps_per_iteration
        if 0.8 < comes_to / self.update_ratio < 1.25:
            return ""
        one = update / (self.update_ratio * self.worlds)
        return (
            f"update_ratio={self.update_ratio:g} comes to {comes_to:.2g}: an iteration makes whole "
            f"updates, and {self.update_ratio:g} is one for every {one:.3g} steps of each world. "
            f"Take a multiple of that as unroll (now {self.unroll}), or another batch"
        )

    def lag(self) -> str:
        """A warning if the actor is updated very often between two steps of a world, else "".

        Then every step of an episode is by another policy, and the consequences of what the
        current one does, such as a fall, enter the data late.
        """
        per_step = self.policy_updates / self.unroll
        if per_step <= _MAX_UPDATES_PER_STEP:
            return ""
        return (
            f"{per_step:.0f} actor updates per control step of a world: {self.worlds:,} worlds "
            "show late what the policy does. Take fewer worlds, or more env_steps at a lower "
            "update_ratio (docs/performance.md, How many worlds)"
        )

    def check_warmup(self) -> None:
        """Raises ConfigError unless the warm-up collects a window of `horizon` + 1 steps."""
        if self.warmup * self.unroll < self.horizon + 1:
            raise ConfigError(
                f"warmup={self.warmup} unrolls of {self.unroll} steps are fewer than the horizon "
                f"+ 1 = {self.horizon + 1} steps of a window; raise warmup or lower horizon"
            )
