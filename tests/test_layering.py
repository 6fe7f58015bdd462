"""Imports point down, from room to room, and nowhere in a circle; read from the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"mjxwm_envs": ROOT / "envs" / "mjxwm_envs", "mjxwm": ROOT / "mjxwm"}

# A module may import what is in lower layers and in its own room. Rooms of one layer are siblings:
# they do not import one another. A name stands for everything inside of it; a module is in the
# room with the longest name that fits. `mjxwm` itself (version, ConfigError) imports nothing.
LAYERS = [
    ["mjxwm_envs"],
    ["mjxwm.types"],
    ["mjxwm.maths"],
    ["mjxwm.models", "mjxwm.data"],
    ["mjxwm.algos.budget", "mjxwm.algos.on_policy"],
    [
        *("mjxwm.algos.pwm", "mjxwm.algos.shac", "mjxwm.algos.tdmpc2", "mjxwm.algos.reppo"),
        "mjxwm.algos.baselines",
    ],
    ["mjxwm.algos.multitask"],
    ["mjxwm.algos"],
    ["mjxwm.runs"],
    ["mjxwm.reports.pages"],  # of the gradients' laboratory, too
    ["mjxwm.reports", "mjxwm.gradients", "mjxwm.bench", "mjxwm.interop"],
    ["mjxwm.studies"],
    ["mjxwm.cli"],
    ["mjxwm.__main__"],
]
LAYER_OF = {name: i for i, layer in enumerate(LAYERS) for name in layer}
# Environments are handed to everything else as arguments.
MAKE_ENVS = ("mjxwm.runs", "mjxwm.bench", "mjxwm.gradients", "mjxwm.cli")


def modules() -> dict[str, Path]:
    paths = {}
    for folder in PACKAGES.values():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            paths[".".join(parts).removesuffix(".__init__")] = path
    return paths


MODULES = modules()


def room(module: str) -> str:
    """The name in the layers that stands for `module`."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in LAYER_OF:
            return name
    raise AssertionError(
        f"module {module} is in no room: put it into one of those in tests/test_layering.py"
    )


def imports(source: str) -> set[str]:
    """Modules of the project that are imported, also inside of functions."""
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from mjxwm.data import replay` imports a module, `... import Windows` a value.
            joined = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module or "" for name in joined]
        else:
            continue
        imported |= {name for name in names if name.split(".")[0] in PACKAGES}
    return imported


def makes_envs(source: str) -> bool:
    """Whether `envs.make` or `envs.make_task` is named or imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "mjxwm_envs":
            makes = any(alias.name in ("make", "make_task") for alias in node.names)
        else:
            names = ("envs.make", "envs.make_task")
            makes = isinstance(node, ast.Attribute) and ast.unparse(node) in names
        if makes:
            return True
    return False


def fault(importer: str, imported: str) -> str | None:
    """What is wrong with this import, if anything."""
    if imported == "mjxwm":
        return None
    above, below = room(importer), room(imported)
    if above == below or LAYER_OF[below] < LAYER_OF[above]:
        return None
    if LAYER_OF[below] == LAYER_OF[above]:
        return f"the siblings {above} and {below} import one another; move what they share down"
    return f"{above} imports {below} from above"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in a circle; empty where none do."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for imported in sorted(graph.get(module, ())):
            if around := walk(imported, [*path, module]):
                return around
        done.add(module)
        return []

    return next((around for module in sorted(graph) if (around := walk(module, []))), [])


@pytest.mark.parametrize("module", [name for name in MODULES if name != "mjxwm"])
def test_imports_point_down(module):
    names = sorted(imports(MODULES[module].read_text()))
    faults = [text for name in names if (text := fault(module, name))]
    assert not faults, f"{module}: {'; '.join(faults)}"


def test_the_package_itself_imports_nothing_of_the_project():
    assert not imports(MODULES["mjxwm"].read_text())


@pytest.mark.parametrize("module", MODULES)
def test_networks_and_arithmetic_know_nothing_of_worlds_and_devices(module):
    if module.startswith(("mjxwm.models", "mjxwm.maths")):
        names = imports(MODULES[module].read_text())
        # What a program is compiled for is no world.
        names = [name for name in names if not name.startswith("mjxwm_envs.platform")]
        assert not any(name.startswith("mjxwm_envs") for name in names)


def test_no_modules_import_one_another_in_a_circle():
    graph = {name: imports(path.read_text()) - {name} for name, path in MODULES.items()}
    # A package's __init__ names what is inside of it, which may name the package: no circle.
    graph = {
        name: {other for other in names if not name.startswith(f"{other}.")}
        for name, names in graph.items()
    }
    around = circle(graph)
    assert not around, " -> ".join(around)


@pytest.mark.parametrize("module", MODULES)
def test_environments_are_made_at_the_top_alone(module):
    if module.startswith("mjxwm.") and not module.startswith(MAKE_ENVS):
        message = f"{module} calls envs.make; take the Env as an argument"
        assert not makes_envs(MODULES[module].read_text()), message


def test_a_room_for_one_concern_each():
    entries = {path.name for path in PACKAGES["mjxwm"].iterdir() if path.name != "__pycache__"}
    loose = {"__init__.py", "__main__.py", "types.py"}
    rooms = entries - loose
    assert len(rooms) <= 11
    assert all((PACKAGES["mjxwm"] / name / "__init__.py").is_file() for name in rooms), rooms


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("mjxwm_envs.core", "mjxwm.types"),
        ("mjxwm.maths.returns", "mjxwm.models.nets"),
        ("mjxwm.data.replay", "mjxwm.models.nets"),
        ("mjxwm.algos.pwm", "mjxwm.algos.tdmpc2"),
        ("mjxwm.algos.pwm", "mjxwm.runs.evaluate"),
        ("mjxwm.runs.record", "mjxwm.cli"),
    ],
)
def test_the_rule_refuses_what_it_should(importer, imported):
    assert fault(importer, imported)


def test_the_rule_finds_imports_of_every_form():
    source = (
        "import mjxwm_envs.core\ndef f():\n"
        "    from mjxwm import ConfigError\n    from mjxwm.data import replay\nimport jax"
    )
    assert imports(source) == {"mjxwm_envs.core", "mjxwm.data.replay", "mjxwm"}
    assert makes_envs("import mjxwm_envs as envs\nenvs.make('hopper')")
    assert makes_envs("from mjxwm_envs import make")
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]


def test_an_unknown_module_is_told_where_to_go():
    with pytest.raises(AssertionError, match=r"mjxwm\.utils is in no room: put it into"):
        room("mjxwm.utils")
