"""How a budget of env steps becomes iterations, and data collected become updates."""

from mjxwm import ConfigError

_OFTEN = 16
"""Actor updates per control step of a world beyond which learning has been seen to fail
(docs/performance.md, How many worlds)."""


class Replayed:
    """Settings of an algorithm that replays what it collected; a base of its configuration."""

    env_steps: int
    worlds: int
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
        """Iterations until the budget is spent, at least one."""
        left = self.env_steps - self.warmup * self.steps_per_iteration
        return max(1, -(-left // self.steps_per_iteration))

    def rounds(self, model_steps: int = 1) -> int:
        """Rounds of so many updates each per iteration: they follow the data collected."""
        replayed = self.update_ratio * self.steps_per_iteration
        return max(1, round(replayed / (self.batch * self.horizon * model_steps)))

    @property
    def updates(self) -> int:
        """Model updates per iteration: they follow the data collected."""
        return self.rounds()

    @property
    def policy_updates(self) -> int:
        """Actor updates per iteration: they follow the data collected."""
        return self.rounds()

    def remarks(self) -> list[str]:
        """What to say before a run starts that may not do what its settings suggest."""
        return [said for said in (self.lag(), self.rounded()) if said]

    def rounded(self) -> str:
        """What to say where iterations, of whole updates, are far from the ratio asked for."""
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
        """What to say where many worlds make few steps each; nothing where they do not.

        An actor that changes many times between two steps of a world learns from episodes of
        which no two steps are its own, and of its own falls long after.
        """
        often = self.policy_updates / self.unroll
        if often <= _OFTEN:
            return ""
        return (
            f"{often:.0f} actor updates per control step of a world: {self.worlds:,} worlds show "
            "late what the policy does. Take fewer worlds, or more env_steps at a lower "
            "update_ratio (docs/performance.md, How many worlds)"
        )

    def check_warmup(self) -> None:
        """Raises ConfigError unless the random steps at the start are enough for a window."""
        if self.warmup * self.unroll < self.horizon + 1:
            raise ConfigError(
                f"warmup={self.warmup} unrolls of {self.unroll} steps are fewer than the horizon "
                f"+ 1 = {self.horizon + 1} steps of a window; raise warmup or lower horizon"
            )
