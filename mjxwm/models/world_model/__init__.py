"""The latent world model: encoder, dynamics, reward and continuation, learned by self-prediction.

TD-MPC2's architecture (Hansen et al. 2024, arXiv 2310.16828) as PWM uses it (Georgiev et al. 2024,
arXiv 2407.02466), with a continuation head, which PWM lacks. No decoder.
"""

from mjxwm.models.world_model.imagination import Imagined, imagine
from mjxwm.models.world_model.losses import Batch, loss, mean_error
from mjxwm.models.world_model.model import Conditioned, Config, LatentModel, SimNorm, WorldModel

__all__ = [
    "Batch",
    "Conditioned",
    "Config",
    "Imagined",
    "LatentModel",
    "SimNorm",
    "WorldModel",
    "imagine",
    "loss",
    "mean_error",
]
