"""The muscle bodies' package and cache: what is left alone, and what can go wrong."""

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
from mjxwm_envs.tasks.locomotion import muscle_body
from mjxwm_envs.tasks.locomotion.muscle_body import bodies, cache, sources

myo_sim = pytest.importorskip("myo_sim")


def test_nothing_is_imported_before_a_body_is_asked_for():
    code = "import sys, envs; sys.exit('myo_sim' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_composing_leaves_the_installed_package_as_it_is():
    def state():
        root = Path(myo_sim.__file__).parent
        files = (file for file in root.rglob("*") if "__pycache__" not in file.parts)
        return {file: file.stat().st_mtime_ns for file in files}

    before = state()
    sources.load(trunk=True)
    assert state() == before


def test_an_unknown_body_is_told_which_there_are():
    with pytest.raises(ValueError, match="body='arms' is unknown; choose one of direct, muscle"):
        muscle_body.model("arms")


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ValueError, match=r"myo-sim, which is not installed.*'mjxwm\[muscles\]'"):
        muscle_body.model("direct")


def test_a_package_that_composes_otherwise_is_named_with_its_version(monkeypatch):
    compose = importlib.import_module("myo_sim.build.compose")
    monkeypatch.delattr(compose, "build_legs_spec")
    with pytest.raises(ValueError, match=r"myo-sim 0\.2\.3 does not compose .*build_legs_spec"):
        sources.load(trunk=True)


def test_other_muscles_are_refused_with_what_was_found(monkeypatch):
    names = ["leg/soleus_r", "leg/soleus_l", "leg/ehl_l", "trunk/IL_L1_r", "trunk/new_r"]
    with pytest.raises(ValueError, match=r"myo-sim 9 gives 5 muscles instead of 152: ") as error:
        sources.check_muscles(names, trunk=True, installed="9")
    for part in ("right leg 1", "left leg 2", "IL_ 1", "Ps_ 0", "new_r 1", "myo-sim==0.2.3"):
        assert part in str(error.value)


BALL = "<mujoco><worldbody><body><freejoint/><geom size='.1'/></body></worldbody></mujoco>"


class Making:
    """Makes a small model and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return mujoco.MjModel.from_xml_string(BALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mjxwm" / "models"


def test_a_stored_model_is_not_made_again(folder):
    make = Making()
    models = [cache.load_or_make("ball", make) for _ in range(3)]
    assert make.times == 1
    assert all(model.nq == 7 for model in models)
    assert [file.name for file in folder.iterdir()] == ["ball.mjb"]  # and nothing half written


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "garbage"])
def test_a_damaged_file_is_made_anew(folder, harm):
    make = Making()
    cache.load_or_make("ball", make)
    file = folder / "ball.mjb"
    good = file.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    bad = {"cut": good[:100], "flipped": bytes(flipped), "empty": b"", "garbage": b"x" * 5000}
    file.write_bytes(bad[harm])
    assert cache.load_or_make("ball", make).nq == 7
    assert make.times == 2
    assert file.read_bytes() == good


def test_a_place_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    make = Making()
    assert cache.load_or_make("ball", make).nq == 7


def test_the_key_changes_with_every_part():
    first = cache.key("0.2.3", "3.17.0", "direct", "source")
    assert first == cache.key("0.2.3", "3.17.0", "direct", "source")
    others = [
        ("0.2.4", "3.17.0", "direct", "source"),
        ("0.2.3", "3.17.0", "direct", "source "),
        ("0.2.3", "3.17.0", "directsource", ""),
    ]
    assert first not in [cache.key(*parts) for parts in others]


def test_composing_twice_gives_the_same_model():
    # Byte for byte, or a cache would hide differences between runs.
    models = [bodies.compose("direct") for _ in range(2)]
    stored = []
    for model in models:
        buffer = np.empty(mujoco.mj_sizeModel(model), np.uint8)
        mujoco.mj_saveModel(model, None, buffer)
        stored.append(buffer.tobytes())
    assert stored[0] == stored[1]


def test_a_caller_may_change_its_model():
    muscle_body.model("direct").opt.timestep = 1.0
    assert muscle_body.model("direct").opt.timestep != 1.0
