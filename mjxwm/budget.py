"""How a budget of env steps becomes iterations, and data collected become updates."""

from mjxwm.config import ConfigError


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

    def check_warmup(self) -> None:
        """Raises ConfigError unless the random steps at the start are enough for a window."""
        if self.warmup * self.unroll < self.horizon + 1:
            raise ConfigError(
                f"warmup={self.warmup} unrolls of {self.unroll} steps are fewer than the horizon "
                f"+ 1 = {self.horizon + 1} steps of a window; raise warmup or lower horizon"
            )
