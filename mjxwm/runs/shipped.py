"""Policies that come with the package, by name: to look at, evaluate or export without training."""

import dataclasses
from pathlib import Path

from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.runs import presets

_ABOUT = "about.yaml"


@dataclasses.dataclass(frozen=True)
class About:
    """What a shipped policy is, beside what its `policy.yaml` says."""

    command: str
    """The command that trained it."""
    eval_return: float
    """Mean return of `mjxwm eval --pretrained NAME --episodes EPISODES`."""
    episodes: int
    """Episodes of that evaluation."""
    seed: int
    """Seed of the training."""
    commit: str
    """Commit that trained it."""


def folder() -> Path:
    """The folder of the shipped policies, in a checkout or in an installed wheel."""
    package = Path(__file__).parents[1]
    installed = package / "pretrained"
    return installed if installed.is_dir() else package.parent / "pretrained"


def names() -> list[str]:
    """Names of the shipped policies."""
    return sorted(path.parent.name for path in folder().glob(f"*/{_ABOUT}"))


def find(name: str) -> Path:
    """The folder of a shipped policy.

    Raises:
        ConfigError: no policy has this name.
    """
    if name not in names():
        raise ConfigError(
            f"pretrained policy {name!r} is unknown{nearest(name, names())}. There are: "
            f"{', '.join(names())}"
        )
    return folder() / name


def about(name: str) -> About:
    """What a shipped policy is.

    Raises:
        ConfigError: no policy has this name.
    """
    return presets.load_yaml(About, find(name) / _ABOUT)


def choose(run: Path | None, pretrained: str | None, command: str) -> Path:
    """The run or the shipped policy that a command is given.

    Args:
        run: a run's folder.
        pretrained: the name of a shipped policy.
        command: the command's name, for the message.

    Raises:
        ConfigError: neither or both are given, or no policy has this name.
    """
    if pretrained is not None:
        if run is not None:
            raise ConfigError(f"{command} takes a run's folder or --pretrained NAME, not both")
        return find(pretrained)
    if run is None:
        raise ConfigError(
            f"{command} needs a run's folder, or --pretrained NAME: one of {', '.join(names())}"
        )
    return run


def keep_about(place: Path, what: About) -> None:
    """Writes what a policy is beside it."""
    presets.save_yaml(what, place / _ABOUT)
