"""How a budget of env steps becomes iterations, and data collected become updates."""

from mjxwm.config import ConfigError

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
    def policy_updates(self) -> int:
        """Actor updates per iteration: they follow the data collected."""
        return self.rounds()

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
