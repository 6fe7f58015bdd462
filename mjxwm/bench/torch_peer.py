"""TD-MPC2's networks and update in plain torch: the peer that ours are held to.

Written from the published facts (Hansen et al. 2024, arXiv 2310.16828): its layers, names, losses.
Tests compare outputs and steps, `mjxwm bench learner` compares times. Needs torch.
"""

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from mjxwm.algos.tdmpc2.config import NetworkConfig


class SimNorm(nn.Module):
    """Softmax in groups of 8."""

    def forward(self, x: Tensor) -> Tensor:
        """The normalised features."""
        return torch.softmax(x.unflatten(-1, (-1, 8)), -1).flatten(-2)


class NormedLinear(nn.Linear):
    """Linear, dropout, LayerNorm, activation."""

    def __init__(self, size_in: int, size_out: int, act: nn.Module, dropout: float = 0.0):
        """Mish in hidden layers, SimNorm at the end of encoder and dynamics."""
        super().__init__(size_in, size_out)
        self.ln, self.act, self.drop = nn.LayerNorm(size_out), act, dropout

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        x = functional.dropout(super().forward(x), self.drop, self.training)
        return self.act(self.ln(x))


def mlp(sizes: tuple[int, ...], last: nn.Module | None = None, drop: float = 0.0) -> nn.Sequential:
    """Normed hidden layers, then a plain linear one, or a normed one where `last` is given."""
    layers: list[nn.Module] = []
    for i, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
        final = i == len(sizes) - 2
        if final and last is None:
            layers.append(nn.Linear(size_in, size_out))
        else:
            act = last if final and last is not None else nn.Mish()
            layers.append(NormedLinear(size_in, size_out, act, 0.0 if i else drop))
    return nn.Sequential(*layers)


class TDMPC2(nn.Module):
    """The networks under the names of the published state dicts."""

    def __init__(self, config: NetworkConfig, obs: int, action: int, tasks: int):
        """`tasks` embeddings where `config.task_size` is not 0."""
        super().__init__()
        m, e, self.config = config.model, config.task_size, config
        bins, z = m.num_bins, m.latent
        self._task_emb = nn.Embedding(tasks, e, max_norm=1) if e else None
        self._encoder = nn.ModuleDict({"state": mlp((obs + e, *m.encoder, z), SimNorm())})
        self._dynamics = mlp((z + e + action, *m.hidden, z), SimNorm())
        self._reward = mlp((z + e + action, *m.hidden, bins))
        self._pi = mlp((z + e, *config.q_hidden, 2 * action))
        qs = [
            mlp((z + e + action, *config.q_hidden, bins), drop=config.dropout)
            for _ in range(config.num_q)
        ]
        stacked = stack_module_state(qs)[0]  # type: ignore[arg-type]
        self._skeleton = [qs[0].to("meta")]  # in a list: its parameters are none of ours
        self._q_names = list(stacked)
        self._Qs = nn.ParameterList([nn.Parameter(p.detach()) for p in stacked.values()])
        self._target = [p.detach().clone() for p in self._Qs]
        self.bins, self.actions = torch.linspace(-10, 10, bins), action

    def with_embedding(self, x: Tensor, task: Tensor | None) -> Tensor:
        """Inputs with the task's embedding after them."""
        if self._task_emb is None or task is None:
            return x
        e = self._task_emb(task)
        return torch.cat([x, e.expand(*x.shape[:-1], e.shape[-1])], -1)

    def encode(self, obs: Tensor, task: Tensor | None) -> Tensor:
        """Latents."""
        return self._encoder["state"](self.with_embedding(obs, task))

    def next(self, z: Tensor, a: Tensor, task: Tensor | None) -> Tensor:
        """Latents after an action."""
        return self._dynamics(torch.cat([self.with_embedding(z, task), a], -1))

    def reward(self, z: Tensor, a: Tensor, task: Tensor | None) -> Tensor:
        """Logits of the reward."""
        return self._reward(torch.cat([self.with_embedding(z, task), a], -1))

    def pi(self, z: Tensor, task: Tensor | None, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Action and log std."""
        mean, raw = self._pi(self.with_embedding(z, task)).chunk(2, -1)
        log_std = -10 + 6 * (torch.tanh(raw) + 1)
        return torch.tanh(mean + log_std.exp() * noise), log_std

    def q(self, params: Any, z: Tensor, a: Tensor, task: Tensor | None) -> Tensor:
        """Logits of all Qs with these parameters."""
        x = torch.cat([self.with_embedding(z, task), a], -1)

        def one(p: dict[str, Tensor]) -> Tensor:
            return functional_call(self._skeleton[0].train(self.training), p, (x,))  # type: ignore[arg-type]

        return vmap(one, randomness="different")(dict(zip(self._q_names, params, strict=True)))

    def decode(self, logits: Tensor) -> Tensor:
        """symexp of the mean bin."""
        x = (torch.softmax(logits, -1) * self.bins).sum(-1)
        return torch.sign(x) * torch.expm1(x.abs())


def state_dict(model: TDMPC2, new: bool = False) -> dict[str, Any]:
    """In the layout of the released files, or in that of files since January 2025."""
    names = [k for k in model.state_dict() if not k.startswith("_Qs.")]
    tensors: dict[str, Any] = {k: model.state_dict()[k] for k in names}
    copies = {"_Qs": list(model._Qs), "_target_Qs": model._target}
    for prefix, params in copies.items():
        for name, p in zip(model._q_names, params, strict=True):
            if not new:
                tensors[f"{prefix}.params.{_flat(name)}"] = p.detach()
            elif prefix == "_Qs":
                tensors[f"_Qs.params.{name}"] = p.detach()
                tensors[f"_detach_Qs_params.{name}"] = p.detach()
            else:
                tensors[f"_target_Qs_params.{name}"] = p.detach()
    if new:
        tensors |= {"_Qs.params.__batch_size": torch.Size([model.config.num_q])}
        tensors |= {"log_std_min": torch.tensor(-10.0), "log_std_dif": torch.tensor(12.0)}
    return tensors


def _flat(name: str) -> int:
    layer, field = name.split(".", 1)
    return 4 * int(layer) + ["weight", "bias", "ln.weight", "ln.bias"].index(field)


def soft_ce(logits: Tensor, x: Tensor, bins: Tensor) -> Tensor:
    """Cross-entropy against two-hot targets in symlog space."""
    size, x = bins[1] - bins[0], x.expand(logits.shape[:-1])
    place = (torch.sign(x) * torch.log1p(x.abs())).clamp(-10, 10)
    low = ((place + 10) / size).floor().clamp(0, len(bins) - 2).long()
    share = (place - bins[low]) / size
    log = functional.log_softmax(logits, -1)
    left, right = (log.gather(-1, i[..., None])[..., 0] for i in (low, low + 1))
    return -((1 - share) * left + share * right)


class Updater:
    """TD-MPC2's update, whole, without compilation."""

    def __init__(self, model: TDMPC2, lr: float = 3e-4):
        """Adam as in the released code."""
        self.model, self.scale = model, torch.ones(())
        encoder = list(model._encoder.parameters())
        parts = [model._dynamics, model._reward, model._task_emb]
        rest = [p for m in parts if m is not None for p in m.parameters()]
        self.rest = [*rest, *model._Qs.parameters()]
        self.params = [*encoder, *self.rest]
        self.optim = torch.optim.Adam(
            [{"params": encoder, "lr": 0.3 * lr}, {"params": self.rest}], lr=lr
        )
        self.pi_optim = torch.optim.Adam(model._pi.parameters(), lr=lr, eps=1e-5)

    def __call__(
        self, obs: Tensor, action: Tensor, reward: Tensor, task: Tensor | None, gamma: float = 0.99
    ) -> None:
        """One step on obs [H + 1, N, o], action [H, N, a], reward [H, N]."""
        m = self.model
        with torch.no_grad():
            m.eval()
            next_z = m.encode(obs[1:], task)
            a, _ = m.pi(next_z, task, torch.randn_like(action))
            pair = torch.randperm(m.config.num_q)[:2]
            q = m.decode(m.q([p[pair] for p in m._target], next_z, a, task)).amin(0)
            td = reward + gamma * q
            m.train()
        loss, z = self.model_loss(obs, action, reward, td, next_z, task)
        loss.backward()
        nn.utils.clip_grad_norm_(self.params, 20)
        self.optim.step()
        self.optim.zero_grad(set_to_none=True)
        z = z.detach()
        noise = torch.randn(*z.shape[:-1], m.actions)
        pair = torch.randperm(m.config.num_q)[:2]
        self.policy_loss(z, task, noise, pair).backward()
        nn.utils.clip_grad_norm_(m._pi.parameters(), 20)
        self.pi_optim.step()
        self.pi_optim.zero_grad(set_to_none=True)
        for p in self.params:
            p.grad = None
        with torch.no_grad():
            for target, p in zip(m._target, m._Qs, strict=True):
                target.lerp_(p, 0.01)

    def model_loss(
        self,
        obs: Tensor,
        action: Tensor,
        reward: Tensor,
        td: Tensor,
        next_z: Tensor,
        task: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The loss of everything but the policy, and the predicted latents [H + 1, N, z]."""
        m, w, horizon = self.model, self.model.config, len(action)
        rho = w.model.rho ** torch.arange(horizon)
        z = m.encode(obs[0], task)
        zs, consistency = [z], torch.zeros(())
        for t in range(horizon):
            z = m.next(z, action[t], task)
            consistency = consistency + rho[t] * functional.mse_loss(z, next_z[t])
            zs.append(z)
        past = torch.stack(zs)
        ce = soft_ce(m.reward(past[:-1], action, task), reward, m.bins).mean(1)
        value = soft_ce(m.q(list(m._Qs), past[:-1], action, task), td, m.bins).mean(2)
        loss = (
            w.model.consistency * consistency / horizon
            + w.model.reward * (rho * ce).sum() / horizon
            + w.value * (rho * value).sum() / (horizon * w.num_q)
        )
        return loss, past

    def policy_loss(self, z: Tensor, task: Tensor | None, noise: Tensor, pair: Tensor) -> Tensor:
        """Minus the mean of two Qs in units of their range, and the entropy."""
        m = self.model
        rho = m.config.model.rho ** torch.arange(len(z))
        a, log_std = m.pi(z, task, noise)
        q = m.decode(m.q([p.detach()[pair] for p in m._Qs], z, a, task)).mean(0)
        low, high = torch.quantile(q[0].detach(), torch.tensor([0.05, 0.95]))
        self.scale = self.scale.lerp((high - low).clamp(min=1), 0.01)
        entropy = m.actions * (0.5 * noise**2 + log_std + 0.5 * math.log(2 * math.pi)).sum(-1)
        return -(rho * (1e-4 * entropy + q / self.scale).mean(1)).mean()
