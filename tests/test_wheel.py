"""The wheel leaves the module name `envs` to its users, who often have a folder of that name."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = {"mjxwm", "mjxwm_envs"}


def test_the_wheel_claims_two_modules():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    folders = wheel["targets"]["wheel"]["packages"]
    assert {Path(folder).name for folder in folders} == NAMES
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)
    assert not (ROOT / "envs" / "__init__.py").exists()


def test_a_user_s_own_package_envs_is_imported_beside_the_wheel(tmp_path):
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        tops = {name.split("/")[0] for name in names}
        archive.extractall(tmp_path / "installed")
    assert {top for top in tops if not top.endswith(".dist-info")} == NAMES
    policies = [file for file in (ROOT / "pretrained").rglob("*") if file.is_file()]
    assert policies
    assert {f"mjxwm/{file.relative_to(ROOT)}" for file in policies} <= names
    project = tmp_path / "project"
    (project / "envs").mkdir(parents=True)
    (project / "envs" / "__init__.py").touch()
    mine = "from mjxwm_envs.tasks.locomotion.hopper import Hopper as Task\n"
    (project / "envs" / "mine.py").write_text(mine)
    (project / "script.py").write_text(
        "import mjxwm, mjxwm_envs\nfrom envs import mine\nfrom mjxwm.runs import build\n"
        "print(mjxwm.__file__, mjxwm_envs.__file__)\n"
        "assert mjxwm_envs.make('envs.mine:Task').spec.obs_size == 11\n"
    )
    environ = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    run = subprocess.run(
        [sys.executable, "script.py"],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert all(str(tmp_path) in path for path in run.stdout.split())
