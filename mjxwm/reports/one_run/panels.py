"""Which metrics of a record are drawn together, and what is said of them."""

from typing import NamedTuple

from mjxwm.reports.pages.scales import Kind


class Panel(NamedTuple):
    """A figure of one or several metrics."""

    title: str
    metrics: dict[str, str]
    """Their names, and what each is called; a name may end in *, for all that begin so."""
    shows: str
    """A sentence on what it shows."""
    bad: str
    """A sentence on what a bad one looks like."""
    kind: Kind = "linear"
    zero: bool = False
    levels: tuple[tuple[float, str], ...] = ()
    troubles: bool = False
    """Whether it is drawn only where something is not 0."""


EPISODES = (
    Panel(
        "Length of episodes",
        {"eval/length": "evaluated", "collect/length": "collected, with noise"},
        "Actions until an episode ends.",
        "a body that may fall and whose episodes stay short; or episodes that get shorter late.",
        zero=True,
    ),
    Panel(
        "Success",
        {"eval/success": "evaluated", "collect/success": "collected, with noise"},
        "Share of episodes at whose end the task is solved.",
        "a return that grows while this stays at 0: the reward pays for something else.",
        zero=True,
    ),
    Panel(
        "Terms of the reward",
        {"collect/reward": "reward", "collect/reward_*": ""},
        "What the task pays per action in collected episodes, term by term.",
        "one term grows at the cost of the one that matters; a penalty that outweighs the rest.",
    ),
    Panel(
        "Steps that physics lost",
        {"collect/invalid": "share of collected steps", "eval/diverged": "share of evaluations"},
        "Worlds that diverged (values that are not finite) and were begun anew.",
        "more than a few in ten thousand: lower the time step, or look at the model's contacts.",
        zero=True,
        troubles=True,
    ),
)
MODEL = (
    Panel(
        "Losses of the world model",
        {
            "model/consistency": "latent prediction",
            "model/reward": "reward",
            "model/continuation": "end of the episode",
            "model/value": "value",
        },
        "Errors on windows of the replay: next latent, reward, whether the episode goes on.",
        "a line that climbs for long: the policy goes where the model does not follow; or steps of "
        "several orders of magnitude: the learning rate is too high.",
        kind="log",
    ),
)
IMAGINATION = (
    Panel(
        "Imagined return against the largest real one",
        {"actor/optimism": "imagined return", "policy/optimism": "value of the policy"},
        "Mean imagined return, in units of what the largest real reward in every step would give.",
        "above 1, no world pays that much: model or critics invent rewards; above 2 the run "
        "says so.",
        zero=True,
        levels=((1.0, "largest real reward in every step"),),
    ),
    Panel(
        "Imagined return and value",
        {
            "actor/return": "imagined return of the actor",
            "critic/value": "value by the critics",
            "policy/value": "value of the policy's actions",
        },
        "The discounted return that is maximised, and what the critics expect.",
        "both climb without end while the evaluations above do not: the policy exploits errors of "
        "model or critics.",
    ),
)
GRADIENTS = (
    Panel(
        "Length of gradients",
        {
            "actor/grad_norm": "actor",
            "policy/grad_norm": "policy",
            "model/grad_norm": "world model",
            "critic/grad_norm": "critics",
            "ppo/grad_norm": "policy and value",
        },
        "Norm of each network's gradient before clipping, on a logarithmic axis.",
        "growth over orders of magnitude (explodes), or an actor's that goes to 0 before the "
        "return is good (vanishes).",
        kind="log",
    ),
    Panel(
        "Gradients through the simulator",
        {"actor/world_grad_norm": "mean over worlds", "actor/world_grad_max": "the largest"},
        "Norm of the gradient of each world's return.",
        "the largest thousands of times the mean: stiff contacts; shorten the horizon.",
        kind="log",
    ),
    Panel(
        "Gradients dropped or clipped",
        {
            "actor/dropped": "dropped",
            "actor/clipped": "clipped",
            "actor/nonfinite": "not finite",
        },
        "Share of worlds whose gradient was not used as it was.",
        "more than half clipped changes what is learned; dropped ones say that physics explodes.",
        zero=True,
        troubles=True,
    ),
)
POLICY = (
    Panel(
        "Actions at their bounds",
        {"actor/saturation": "share of actions"},
        "Share of imagined actions beyond 97 % of their range.",
        "near 1 the derivative of an action is 0 and nothing more is learned; the run says so from "
        "95 % on. Muscles and bang-bang tasks lie high by nature.",
        zero=True,
        levels=((0.95, "symptom"),),
    ),
    Panel(
        "Noise of the policy",
        {"actor/std": "standard deviation before tanh"},
        "How far actions are drawn around their mean.",
        "at its floor before the return has grown: exploration has ended too early.",
        zero=True,
    ),
    Panel(
        "Entropy",
        {"actor/entropy": "policy", "policy/entropy": "policy", "ppo/entropy_loss": "loss"},
        "How random the policy is.",
        "a fall at once, long before the return grows: it settled on the first thing that paid.",
    ),
    Panel(
        "Weight of the entropy",
        {"actor/entropy_weight": "weight", "sac/alpha": "alpha"},
        "What a nat of entropy is worth, in units of the objective.",
        "growth over orders of magnitude: the target entropy cannot be reached.",
        kind="log",
    ),
)
LOSSES = (
    Panel(
        "Losses of the critics",
        {
            "critic/loss": "critics",
            "sac/critic_loss": "critics",
            "ppo/v_loss": "value",
            "imitation/effective_sample": "effective sample",
        },
        "Error of the predicted returns.",
        "growth without end: values diverge. A slow rise with growing returns is usual.",
        kind="log",
    ),
    Panel(
        "Losses of the policy",
        {"policy/loss": "policy", "sac/policy_loss": "policy", "ppo/policy_loss": "policy"},
        "What the policy's updates minimise.",
        "no shape is good by itself: read it together with the return; jumps say that the target "
        "moved.",
    ),
)
SPEED = (
    Panel(
        "Throughput",
        {
            "perf/env_steps_per_s": "env steps per second",
            "perf/updates_per_s": "updates per second",
        },
        "Collection and updates together, without evaluations.",
        "a drop that stays: something else took the machine.",
        zero=True,
    ),
)
SKIPPED = Panel(
    "What the guard skipped",
    {"guard/*": ""},
    "Updates and steps that were not finite and were left out, by stage, per row.",
    "anything that goes on for more than a few rows: the run stops by itself after so many.",
    zero=True,
    troubles=True,
)
LEARNING = (*GRADIENTS, *POLICY, *LOSSES, SKIPPED)
"""What updates do."""
ALL = (*EPISODES, *MODEL, *IMAGINATION, *LEARNING, *SPEED)
"""Every panel of a page."""
