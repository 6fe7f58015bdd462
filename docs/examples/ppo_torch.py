"""PPO in torch on mjxwm's worlds, in the form of CleanRL's single files: no copies in between.

    python docs/examples/ppo_torch.py --task cartpole-swingup --seed 0

PPO (Schulman et al. 2017, arXiv 1707.06347) with observations and returns normalised by running
moments. Time limits are bootstrapped from the observation before the reset.
"""

import argparse
import itertools
import math
import time

import mjxwm_envs as envs
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--task", default="cartpole-swingup")
parser.add_argument("--engine", default="auto")
parser.add_argument("--action-repeat", type=int, default=4)
parser.add_argument("--worlds", type=int, default=64)
parser.add_argument("--unroll", type=int, default=32, help="steps per world and iteration")
parser.add_argument("--env-steps", type=int, default=500_000)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batches", type=int, default=4, help="minibatches per epoch")
parser.add_argument("--gamma", type=float, default=0.99)
parser.add_argument("--lam", type=float, default=0.95)
parser.add_argument("--lr", type=float, default=7e-4)
parser.add_argument("--seed", type=int, default=0)


def network(sizes: list[int], gain: float) -> nn.Sequential:
    """Layers with tanh between them; the last one is initialised with `gain`."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layer, last = nn.Linear(inputs, outputs), i == len(sizes) - 2
        nn.init.orthogonal_(layer.weight, gain if last else math.sqrt(2))
        nn.init.zeros_(layer.bias)
        layers += [layer] if last else [layer, nn.Tanh()]
    return nn.Sequential(*layers)


class Moments(nn.Module):
    """Running mean and variance of vectors."""

    def __init__(self, size: int):
        super().__init__()
        self.mean, self.var, self.count = torch.zeros(size), torch.ones(size), 1e-4

    def update(self, x: torch.Tensor) -> None:
        """Takes in rows [N, size]."""
        var, mean = torch.var_mean(x, dim=0, unbiased=False)
        total = self.count + len(x)
        apart, share = mean - self.mean, len(x) / total
        self.var = (1 - share) * self.var + share * var + share * (1 - share) * apart**2
        self.mean, self.count = self.mean + share * apart, total

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows with mean 0 and variance 1, clipped to [-10, 10]."""
        return ((x - self.mean) / torch.sqrt(self.var + 1e-8)).clamp(-10, 10)


class Agent(nn.Module):
    """A Gaussian policy and a value."""

    def __init__(self, obs: int, actions: int):
        super().__init__()
        self.mean = network([obs, 64, 64, actions], 0.01)
        self.value = network([obs, 64, 64, 1], 1.0)
        self.log_std = nn.Parameter(torch.zeros(actions))

    def policy(self, obs: torch.Tensor) -> torch.distributions.Distribution:
        """The distribution of actions [N, a]."""
        normal = torch.distributions.Normal(self.mean(obs), self.log_std.exp())
        return torch.distributions.Independent(normal, 1)


def main(args: argparse.Namespace) -> float:
    """Trains, prints, and returns the mean return of the last finished episodes."""
    torch.manual_seed(args.seed)
    worlds = envs.to_torch(
        args.task, args.worlds, args.seed, engine=args.engine, action_repeat=args.action_repeat
    )
    torch.set_default_device(worlds.device)
    torch.set_num_threads(1)  # for networks this small more threads wait for one another
    agent = Agent(worlds.num_obs, worlds.num_actions)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.lr, eps=1e-5)
    moments, scale = Moments(worlds.num_obs), Moments(1)
    # Time limits apart from one another, so that a batch has steps of all phases of an episode.
    worlds.episode_length_buf = torch.randint(0, worlds.max_episode_length, (args.worlds,))
    state = {"obs": worlds.obs, "running": torch.zeros(args.worlds), "returns": []}
    iterations, start = args.env_steps // (args.worlds * args.unroll), time.time()
    for i in range(iterations):
        optimizer.param_groups[0]["lr"] = args.lr * (1 - i / iterations)
        data = collect(worlds, agent, moments, scale, state, args)
        update(agent, optimizer, data, args)
        if i % 20 == 19 or i == iterations - 1:
            steps = (i + 1) * args.worlds * args.unroll
            recent = state["returns"][-args.worlds :]
            mean = sum(recent) / max(len(recent), 1)
            print(
                f"{steps:>10,} steps  {time.time() - start:5.0f} s  return {mean:.1f}", flush=True
            )
    return mean


@torch.no_grad()
def collect(worlds, agent, moments, scale, state, args) -> list[torch.Tensor]:
    """T steps in all worlds, as rows [T * B]: observations, actions, log probabilities,
    advantages and targets of the value."""
    rows = []
    for _ in range(args.unroll):
        obs = state["obs"]
        moments.update(obs)
        seen = moments(obs)
        policy = agent.policy(seen)
        action = policy.sample()
        next_obs, reward, terminated, truncated, info = worlds.step(action)
        done = terminated | truncated
        state["running"] = reward + args.gamma * state["running"]
        scale.update(state["running"][:, None])
        state["running"] = state["running"] * ~done
        state["returns"] += info["episode"]["r"][done].tolist()
        reward = reward / torch.sqrt(scale.var + 1e-8)
        # What follows is the observation before any reset, and nothing after a termination.
        following = agent.value(moments(info["final_obs"]))[:, 0] * ~terminated
        value = agent.value(seen)[:, 0]
        rows.append((seen, action, policy.log_prob(action), value, reward, following, done))
        state["obs"] = next_obs
    obs, action, log_prob, value, reward, following, done = map(
        torch.stack, zip(*rows, strict=True)
    )
    error, advantage = reward + args.gamma * following - value, torch.zeros_like(value)
    last = torch.zeros(args.worlds)
    for t in reversed(range(args.unroll)):
        last = error[t] + args.gamma * args.lam * last * ~done[t]
        advantage[t] = last
    return [x.flatten(0, 1) for x in (obs, action, log_prob, advantage, advantage + value)]


def update(agent, optimizer, data: list[torch.Tensor], args) -> None:
    """Epochs over the rows, in minibatches: PPO's clipped objective and the value's error."""
    for _ in range(args.epochs):
        for index in torch.randperm(len(data[0])).chunk(args.batches):
            obs, action, log_prob, advantage, target = (x[index] for x in data)
            policy = agent.policy(obs)
            ratio = (policy.log_prob(action) - log_prob).exp()
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            clipped = ratio.clamp(0.8, 1.2) * advantage
            loss = -torch.minimum(ratio * advantage, clipped).mean()
            loss = loss + 0.5 * (agent.value(obs)[:, 0] - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()


if __name__ == "__main__":
    main(parser.parse_args())
