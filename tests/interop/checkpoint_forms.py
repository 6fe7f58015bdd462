"""A small model of TD-MPC2's in torch, and its tensors as different versions name them."""

import itertools

import torch
from torch import nn
from torch.func import stack_module_state

from mjxwm.bench.torch_peer import SimNorm

O, A, Z, BINS, E = 7, 3, 16, 51, 3
ENCODER, HIDDEN, Q_HIDDEN = (24, 40), (20, 28), (12, 32, 20, 36)


def sequential(sizes, last=None, drop=False, first=()):
    """A network as a plain `Sequential`: every module has a number, dropout and Mish as well."""
    modules = list(first)
    for i, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
        modules.append(nn.Linear(size_in, size_out))
        if drop and i == 0:
            modules.append(nn.Dropout(0.01))
        final = i == len(sizes) - 2
        if not final or last is not None:
            modules += [nn.LayerNorm(size_out), last if final else nn.Mish()]
    return nn.Sequential(*modules)


class Single(nn.Module):
    """A model of one task, or of T of them with embeddings; its Qs are a list of networks."""

    def __init__(self, tasks=0, size=0):
        super().__init__()
        torch.manual_seed(1)
        self._encoder = nn.ModuleDict(
            {"state": sequential((O + size, *ENCODER, Z), SimNorm(), first=[nn.Identity()])}
        )
        self._dynamics = sequential((Z + A + size, *HIDDEN, Z), SimNorm())
        self._reward = sequential((Z + A + size, *HIDDEN, BINS))
        self._pi = sequential((Z + size, *Q_HIDDEN, 2 * A))
        self._Qs, self._target_Qs = (
            nn.ModuleList(sequential((Z + A + size, *Q_HIDDEN, BINS), drop=True) for _ in range(E))
            for _ in range(2)
        )
        if tasks:
            self._task_emb = nn.Embedding(tasks, size)
        for p in self.parameters():
            p.data += 0.1 * torch.randn_like(p)
        self.eval()


def renamed(state, change):
    return {change(name): value for name, value in state.items()}


def without(state, *parts):
    return {k: v for k, v in state.items() if not k.startswith(parts)}


def named(state):
    """As NormedLinear has them: layers numbered from 0, norms within them as `ln`."""
    result = {}
    for part in ("_encoder.state", "_dynamics", "_reward", "_pi", *_members()):
        net = {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(f"{part}.")}
        number = -1
        for key in sorted(net, key=lambda k: (int(k.split(".")[0]), k.endswith("bias"))):
            number += net[key].ndim == 2
            norm = net[f"{key.split('.')[0]}.weight"].ndim == 1
            result[f"{part}.{number}.{'ln.' if norm else ''}{key.split('.')[1]}"] = net[key]
    return result


def _members():
    return [f"{part}.{q}" for part in ("_Qs", "_target_Qs") for q in range(E)]


def stacked(state, model, numbered):
    """The ensembles' tensors on one another: numbered through, or by names."""
    result = without(state, "_Qs", "_target_Qs")
    for part, nets in (("_Qs", model._Qs), ("_target_Qs", model._target_Qs)):
        tensors = stack_module_state(list(nets))[0]
        prefix = f"{part}.params" if numbered or part == "_Qs" else f"{part}_params"
        for i, (name, tensor) in enumerate(tensors.items()):
            result[f"{prefix}.{i if numbered else name}"] = tensor.detach()
        if not numbered:
            result[f"{prefix}.__batch_size"] = torch.Size([E])
    return result


def deeper(state):
    return renamed(
        state, lambda k: k.replace("_dynamics.", "_dynamics.0.").replace("_pi.", "_pi.0.")
    )


def agent(state):
    """A whole agent, of which the model is a part, with what planning keeps."""
    return {
        **renamed(state, lambda k: f"model.{k}"),
        "_prev_mean": torch.zeros(3, A),
        "scale.value": torch.ones(1),
    }


FORMS = {
    "sequential": lambda s, m: {"model": s},
    "without a name": lambda s, m: s,
    "one level deeper": lambda s, m: {"model": deeper(s)},
    "layers with ln": lambda s, m: {"model": named(s)},
    "stacked and numbered": lambda s, m: {"model": stacked(s, m, True)},
    "stacked by names": lambda s, m: {"model": stacked(s, m, False)},
    "detached once more": lambda s, m: {
        "model": {
            **(t := stacked(s, m, False)),
            **{
                k.replace("_Qs.params", "_detach_Qs_params"): v
                for k, v in t.items()
                if "_Qs.p" in k
            },
            "log_std_min": torch.tensor(-10.0),
            "log_std_dif": torch.tensor(12.0),
        }
    },
    "several processes": lambda s, m: {"model": renamed(s, lambda k: f"module.{k}")},
    "compiled": lambda s, m: renamed(s, lambda k: f"_orig_mod.{k.replace('.', '._orig_mod.', 1)}"),
    "lists in a module": lambda s, m: renamed(s, lambda k: k.replace("Qs.", "Qs.modules_list.")),
    "online and target in one": lambda s, m: renamed(
        s, lambda k: k.replace("_target_Qs.", "_Qs.target._Qs.")
    ),
    "an encoder without a kind": lambda s, m: renamed(s, lambda k: k.replace("r.state.", "r.")),
    "an agent": lambda s, m: agent(s),
    "beside an optimizer": lambda s, m: {
        "state_dict": s,
        "optim": {"state": {0: {"exp_avg": torch.ones(2, 3)}}, "param_groups": [{"lr": 1e-3}]},
        "step": 7,
    },
    "in another order": lambda s, m: dict(sorted(s.items(), reverse=True)),
}
