"""What a machine without Docker can say of the Dockerfile: files, extras, Python, user, check."""

import re
import tomllib

import blocks

TEXT = (blocks.ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = [
    line.strip()
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.M)).splitlines()
    if line.strip()
]
PROJECT = tomllib.loads((blocks.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lines_of(instruction: str) -> list[str]:
    return [line.partition(" ")[2] for line in LINES if line.startswith(instruction + " ")]


def test_the_base_is_a_fixed_version_of_a_python_that_the_project_takes():
    bases = [line.split()[0] for line in lines_of("FROM")]
    assert len(set(bases)) == 1
    version = re.fullmatch(r"python:(\d+)\.(\d+)\.(\d+)-slim-\w+", bases[0])
    assert version
    low, high = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    assert version[1] == "3"
    assert int(low) <= int(version[2]) < int(high)


def test_what_is_copied_is_there_and_is_not_ignored():
    kept = (blocks.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [w for line in lines_of("COPY") if "--from" not in line for w in line.split()[:-1]]
    for name in copied:
        assert (blocks.ROOT / name).exists(), name
        assert f"!{name}" in kept, name
    built = {"pyproject.toml", "README.md", "LICENSE", "configs", "envs", "mjxwm", "pretrained"}
    assert set(copied) == built  # what pyproject.toml makes the wheel of


def test_extras_are_those_of_the_project():
    (extras,) = re.findall(r"EXTRAS=(\S+)", "\n".join(lines_of("ARG")))
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()
    assert "cuda" in extras.split(",")


def test_it_runs_as_a_user_and_checks_itself():
    order = [line.split()[0] for line in LINES]
    assert lines_of("USER") == ["1000"]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert '"mjxwm", "doctor"' in lines_of("HEALTHCHECK")[0]
