"""Imports point down: the layers of docs and design, read from the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module may import modules of lower layers and what its own row names as well. Modules of one
# layer are siblings: they do not import one another. A name stands for everything inside of it.
LAYERS = [
    ["envs"],
    ["mjxwm.types", "mjxwm.ops"],
    ["mjxwm.nets"],
    ["mjxwm.actor_critic"],
    ["mjxwm.rollout", "mjxwm.replay", "mjxwm.world_model"],
    ["mjxwm.algos", "mjxwm.evaluate", "mjxwm.recorded"],
    ["mjxwm.multitask"],
    ["mjxwm.gradients", "mjxwm.interop"],
    ["mjxwm.loop", "mjxwm.devices"],
    ["mjxwm.trainer", "mjxwm.doctor"],
    [
        "mjxwm.recorder",
        "mjxwm.pretraining",
        "mjxwm.importing",
        "mjxwm.repeats",
        "mjxwm.contradictions",
    ],
    ["mjxwm.train"],
    ["mjxwm.comparison", "mjxwm.outcome"],
    ["mjxwm.suite", "mjxwm.bench"],
    ["mjxwm.cli"],
    ["mjxwm.__main__"],
]
# The host side: disk, console and pictures. Anything may import them; they import nothing of the
# project but what is named here.
LEAVES: dict[str, set[str]] = {
    "mjxwm": set(),  # __init__: the version alone
    "mjxwm.budget": {"mjxwm.config"},
    "mjxwm.checkpoint": {"mjxwm.config"},
    "mjxwm.config": set(),
    "mjxwm.data": set(),
    "mjxwm.memory": set(),
    "mjxwm.plot": {"mjxwm.track"},
    "mjxwm.ranges": {"mjxwm.config"},
    "mjxwm.render": {"envs"},
    "mjxwm.running": {"mjxwm.types"},
    "mjxwm.runs": {"mjxwm.config", "mjxwm.system"},
    "mjxwm.scores": {"mjxwm.config", "mjxwm.runs", "mjxwm.track"},
    "mjxwm.system": set(),
    "mjxwm.symptoms": set(),
    "mjxwm.track": {"mjxwm.symptoms"},
    "mjxwm.view": {"envs"},
}
# Environments are handed to everything else as arguments.
MAKE_ENVS = {"mjxwm.trainer", "mjxwm.doctor", "mjxwm.bench", "mjxwm.gradients", "mjxwm.cli"}

LAYER_OF = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def modules() -> dict[str, Path]:
    found = {}
    for package in ("envs", "mjxwm"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def row(module: str) -> str:
    """The name in the tables that stands for `module`."""
    if module in LEAVES:
        return module
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in LAYER_OF or (name in LEAVES and name != "mjxwm"):
            return name
    raise AssertionError(
        f"module {module} is in no layer: add it to LAYERS or LEAVES in tests/test_layering.py"
    )


def imports(source: str) -> set[str]:
    """Modules of the project that are imported, also inside of functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from mjxwm import replay` imports a module, `from mjxwm import __version__` a value.
            joined = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module or "" for name in joined]
        else:
            continue
        found |= {name for name in names if name.split(".")[0] in ("envs", "mjxwm")}
    return found


def makes_envs(source: str) -> bool:
    """Whether `envs.make` is named or imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "envs":
            found = any(alias.name == "make" for alias in node.names)
        else:
            found = isinstance(node, ast.Attribute) and ast.unparse(node) == "envs.make"
        if found:
            return True
    return False


def fault(importer: str, imported: str) -> str | None:
    """What is wrong with this import, if anything."""
    above, below = row(importer), row(imported)
    if above == below or below == "mjxwm":
        return None
    if above in LEAVES:
        allowed = below in LEAVES[above]
        return None if allowed else f"the leaf {above} imports {below}"
    if below in LEAVES:
        return None
    if LAYER_OF[below] == LAYER_OF[above]:
        return f"the siblings {above} and {below} import one another; move what they share down"
    return f"{above} imports {below} from above" if LAYER_OF[below] > LAYER_OF[above] else None


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    names = sorted(imports(MODULES[module].read_text()))
    faults = [text for name in names if (text := fault(module, name))]
    assert not faults, f"{module}: {'; '.join(faults)}"


@pytest.mark.parametrize("module", MODULES)
def test_environments_are_made_at_the_top_alone(module):
    if module.split(".")[0] == "mjxwm" and row(module) not in MAKE_ENVS:
        message = f"{module} calls envs.make; take the Env as an argument"
        assert not makes_envs(MODULES[module].read_text()), message


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("envs.core", "mjxwm.types"),
        ("mjxwm.ops.returns", "mjxwm.nets"),
        ("mjxwm.replay", "mjxwm.rollout"),
        ("mjxwm.algos.pwm", "mjxwm.train"),
        ("mjxwm.algos.pwm", "mjxwm.evaluate"),
        ("mjxwm.track", "mjxwm.cli"),
    ],
)
def test_the_rule_refuses_what_it_should(importer, imported):
    assert fault(importer, imported)


def test_the_rule_finds_imports_of_every_form():
    source = "import envs.core\ndef f():\n    from mjxwm import replay, __version__\nimport jax"
    assert imports(source) == {"envs.core", "mjxwm.replay", "mjxwm"}
    assert makes_envs("import envs\nenvs.make('hopper')")
    assert makes_envs("from envs import make")


def test_an_unknown_module_is_told_where_to_go():
    with pytest.raises(AssertionError, match=r"mjxwm\.utils is in no layer: add it"):
        row("mjxwm.utils")
