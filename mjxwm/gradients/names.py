"""What estimators, statistics and start states are called where people read of them."""

from mjxwm.gradients.config import TRUTH

ESTIMATORS = {
    TRUTH: (
        "score function in the simulator",
        "the mean over many samples of noise, of return times the noise's score: needs no "
        "derivative of anything and is unbiased. The truth that all others are compared with",
    ),
    "simulator": ("simulator", "differentiates through the simulator, closed loop, as SHAC does"),
    "simulator_detached": (
        "simulator, actions cut from states",
        "the same, without the path from a state to the action taken in it",
    ),
    "model": ("model", "differentiates through the learned world model, closed loop"),
    "model_detached": (
        "model, actions cut from states",
        "the same, without the path from a state to the action taken in it: PWM as released",
    ),
    "hybrid": ("hybrid", "states of the simulator, Jacobians of the model at these states"),
    "hybrid_detached": (
        "hybrid, actions cut from states",
        "the same, without the path from a state to the action taken in it",
    ),
    "zeroth_model": ("score function in the model", "as the truth, with episodes of the model"),
    "soft": ("softer contacts", "values of the simulator, Jacobians of one with softer contacts"),
    "smoothed": (
        "smoothed simulator",
        "gradients of the simulator at perturbed start states, each sample its own",
    ),
}
"""By the name in the numbers (--json): what it is called, and what it is."""

TERMS = {
    "cosine to the truth": "of the angle between an estimator's mean and the truth: 1 is the same "
    "direction, 0 a right angle, below 0 a step along it makes things worse.",
    "bias²": "squared distance of the estimator's mean from the truth: what more samples do not "
    "mend.",
    "variance": "of a single sample around its estimator's mean, summed over all entries; a mean "
    "over N samples has an N-th of it.",
    "ESNR": "expected signal-to-noise ratio, squared length of the mean over the variance: below 1 "
    "a single sample is mostly noise. Per entry: the mean of the entries' own ratios.",
    "better than zeroth-order up to N": "batch size up to which bias² + variance / N is below that "
    "of the score function: beyond it the estimator's bias costs more than its lower variance "
    "saves.",
    "not finite": "share of samples with an entry that is infinite or undefined.",
    "tail index": "Hill's estimator of how heavy the tail of the samples' lengths is: below 2 "
    "their variance is infinite, below 1 their mean.",
    "longest to median": "the longest sample's length, over that of the median: how much one "
    "sample can outweigh all others.",
    "action sequences": "gradients of the return by each action of a sequence, at each start state "
    "by itself.",
    "policy parameters": "gradients of the mean return over all start states by the parameters of "
    "the actor.",
    "start states": "drawn from the policy's own episodes, of several kinds: in flight (nothing "
    "touches), in stance (something does), about to land (impact), about to end (ending), and free "
    "for bodies without contacts.",
    "interval": "95 % by bootstrap over start states, in brackets.",
    "gates": "checks that must hold before any comparison means something. G1: the gradient of the "
    "simulator is the derivative, against finite differences. G2: without contacts it equals the "
    "score function's. G3: so it does for one step of this task. G4: it does not depend on the "
    "solver's iterations or the physics step. G5: all were finite. Truth: the score function's "
    "mean is known well enough.",
}
"""Words of the report, and what they mean."""


def estimator(name: str) -> str:
    """What an estimator is called; what follows a comma after its name stays."""
    first, comma, rest = name.partition(",")
    return ESTIMATORS.get(first, (first.replace("_", " "), ""))[0] + comma + rest
