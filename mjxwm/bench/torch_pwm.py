"""PWM's world-model update in plain torch, beside `torch_peer`."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjxwm.bench.torch_peer import SimNorm, mlp
from mjxwm.models import world_model


class PWMUpdater:
    """PWM's world-model update: encoder, dynamics and a scalar reward, by backpropagation through
    all predicted steps."""

    def __init__(self, config: world_model.Config, obs: int, action: int):
        """Adam with PWM's clipping."""
        z = config.latent
        self.config = config
        self.encoder = mlp((obs, *config.encoder, z), SimNorm())
        self.dynamics = mlp((z + action, *config.hidden, z), SimNorm())
        self.reward = mlp((z + action, *config.hidden, 1))
        # Ours learns when episodes end as well: the same work for both.
        self.ends = mlp((z, *config.encoder, 1))
        parts = (self.encoder, self.dynamics, self.reward, self.ends)
        self.params = [p for part in parts for p in part.parameters()]
        self.optim = torch.optim.Adam(self.params, lr=3e-4)

    def __call__(self, obs: Tensor, action: Tensor, reward: Tensor) -> None:
        """One step on obs [H + 1, N, o], action [H, N, a], reward [H, N]."""
        w, horizon = self.config, len(action)
        rho = w.rho ** torch.arange(horizon)
        with torch.no_grad():
            target = self.encoder(obs[1:])
        z = self.encoder(obs[0])
        zs = [z]
        for t in range(horizon):
            z = self.dynamics(torch.cat([z, action[t]], -1))
            zs.append(z)
        past = torch.stack(zs)
        predicted = self.reward(torch.cat([past[:-1], action], -1))[..., 0]
        going_on = self.ends(past[1:])[..., 0] + 4.0
        errors = (
            w.consistency * ((past[1:] - target) ** 2).mean(-1)
            + w.reward * (predicted - reward) ** 2
            + w.continuation * functional.softplus(-going_on)
        )
        (rho * errors.mean(1)).mean().backward()
        nn.utils.clip_grad_norm_(self.params, 20)
        self.optim.step()
        self.optim.zero_grad(set_to_none=True)
