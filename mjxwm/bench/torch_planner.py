"""TD-MPC2's planner in plain torch, beside `torch_peer`."""

import torch
from torch import Tensor

from mjxwm.algos.tdmpc2.config import Planning
from mjxwm.bench.torch_peer import TDMPC2


@torch.no_grad()
def plan(
    m: TDMPC2, p: Planning, obs: Tensor, mean: Tensor, task: Tensor | None, gamma: float = 0.99
) -> tuple[Tensor, Tensor]:
    """MPPI for B worlds at once: obs [B, o], mean [B, H, a]; the new mean and the actions."""
    worlds, size = len(obs), mean.shape[-1]
    z0 = m.encode(obs, task)
    z = z0[:, None].expand(worlds, p.policy_samples, -1)
    proposed = []
    for _ in range(p.plan_horizon):
        a, _ = m.pi(z, task, torch.randn(worlds, p.policy_samples, size))
        proposed.append(a)
        z = m.next(z, a, task)
    ours = torch.stack(proposed, 1)
    mean = torch.cat([mean[:, 1:], torch.zeros_like(mean[:, :1])], 1)
    std = torch.full_like(mean, p.max_std)
    free = p.samples - p.policy_samples
    elites, score = ours, torch.ones(())
    for _ in range(p.iterations + (2 if size >= 20 else 0)):
        noise = torch.randn(worlds, p.plan_horizon, free, size)
        sampled = (mean[:, :, None] + std[:, :, None] * noise).clamp(-1, 1)
        actions = torch.cat([ours, sampled], 2)
        z, total, weight = z0[:, None].expand(worlds, p.samples, -1), torch.zeros(()), 1.0
        for t in range(p.plan_horizon):
            total = total + weight * m.decode(m.reward(z, actions[:, t], task))
            z = m.next(z, actions[:, t], task)
            weight *= gamma
        a, _ = m.pi(z, task, torch.randn(worlds, p.samples, size))
        pair = torch.randperm(m.config.num_q)[:2]
        value = m.decode(m.q([q[pair] for q in m._Qs], z, a, task)).mean(0)
        best, ids = torch.topk((total + weight * value).nan_to_num(0), p.elites, 1)
        index = ids[:, None, :, None].expand(-1, p.plan_horizon, -1, size)
        elites = actions.gather(2, index)
        score = torch.softmax(p.temperature * best, 1)[:, None, :, None]
        mean = (score * elites).sum(2)
        spread = (score * (elites - mean[:, :, None]) ** 2).sum(2)
        std = spread.sqrt().clamp(p.min_std, p.max_std)
    return mean, elites[:, 0, 0]
