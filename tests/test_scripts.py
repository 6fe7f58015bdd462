"""The shell scripts: they parse, refuse what they do not know, and install what they packed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SCRIPTS = Path(__file__).parents[1] / "scripts"


def run(*args, **kwargs):
    return subprocess.run(
        list(map(str, args)), capture_output=True, text=True, check=False, **kwargs
    )


@pytest.mark.parametrize("path", sorted(SCRIPTS.rglob("*.sh")), ids=lambda p: p.name)
def test_it_is_bash(path):
    """Syntax alone."""
    assert run("bash", "-n", path).returncode == 0
    assert path.stat().st_mode & 0o100, f"{path} is not executable"


def test_the_example_for_kubernetes_is_yaml():
    """A service that names the first pod, and a job of indexed pods."""
    parts = list(yaml.safe_load_all((SCRIPTS / "launch" / "kubernetes.yaml").read_text()))
    service, job = parts
    (container,) = job["spec"]["template"]["spec"]["containers"]
    told = {entry["name"]: entry["value"] for entry in container["env"]}
    assert told["JAX_NUM_PROCESSES"] == str(job["spec"]["completions"])
    host = told["JAX_COORDINATOR_ADDRESS"].partition(":")[0]
    assert host == f"{job['metadata']['name']}-0.{service['metadata']['name']}"


def test_the_tasks_of_a_set_are_found():
    """By the Python inside of multitask_cpu.sh."""
    script = (SCRIPTS / "multitask_cpu.sh").read_text(encoding="utf-8")
    code = script.split('$(python -c "\n')[1].split('")\n')[0].replace("$preset", "mt4-cpu")
    done = run(sys.executable, "-c", code)
    assert done.stdout.split() == ["walker-stand", "reacher-easy", "cup-catch", "cartpole-swingup"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["gpu_check.sh", "hoper"], "part 'hoper' is unknown; there are: doctor"),
        (["gpu_check.sh", "--out", "a;b"], "--out 'a;b' has a space or another special"),
        (
            ["gpu_check.sh", "--out", "a b"],
            "--out 'a b' has a space or another special character in it",
        ),
        (["gpu_check.sh", "--minutes", "ten"], "--minutes needs a whole number"),
        (["wheelhouse.sh", "make", "x", "--python", "3.9"], "mjxwm runs on 3.11, 3.12 and 3.13"),
        (["wheelhouse.sh", "make", "x", "--pyton", "3.12"], "option --pyton is unknown"),
        (["wheelhouse.sh", "install", "/nowhere"], "/nowhere has no SHA256SUMS"),
    ],
)
def test_mistakes_are_named(args, message):
    """With status 2, before anything is done."""
    done = run("bash", SCRIPTS / args[0], *args[1:])
    assert done.returncode == 2
    assert message in done.stderr


def test_a_house_of_wheels_is_joined_and_checked(tmp_path):
    """Parts become wheels again; a damaged one is not installed."""
    content = bytes(range(256)) * 10
    (tmp_path / "a-1.whl.part00").write_bytes(content[:1000])
    (tmp_path / "a-1.whl.part01").write_bytes(content[1000:])
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  ./a-1.whl\n")
    stub = tmp_path / "python"
    stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
    stub.chmod(0o755)
    install = ["bash", SCRIPTS / "wheelhouse.sh", "install", tmp_path, "--python", stub]
    done = run(*install)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a-1.whl").read_bytes() == content
    (tmp_path / "a-1.whl").write_bytes(content[:7])  # what a full disk leaves
    assert run(*install).returncode == 0
    called = (tmp_path / "called").read_text().splitlines()
    assert called[0] == f"-m pip install --quiet --no-index --no-deps {tmp_path}/a-1.whl"
    (tmp_path / "a-1.whl.part01").write_bytes(content[:-1000])
    done = run(*install)
    assert done.returncode == 2
    assert "missing or damaged" in done.stderr
    assert len((tmp_path / "called").read_text().splitlines()) == len(called)


def test_the_check_of_a_machine_goes_on_where_it_stopped(tmp_path):
    """A part that is done is not done again; a failure is named, with status 1."""
    (tmp_path / "doctor.done").touch()
    (tmp_path / "python").write_text(
        f'#!/bin/sh\ncase "$*" in -c*) exec {sys.executable} "$@" ;; esac\necho broken\nexit 3\n'
    )
    (tmp_path / "python").chmod(0o755)

    done = run(
        "bash",
        SCRIPTS / "gpu_check.sh",
        *("--out", tmp_path, "doctor", "replay"),
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.returncode == 1
    assert "doctor: done before" in done.stdout
    assert "failed with status 3" in done.stdout
    assert "failed: replay" in done.stdout
    assert not (tmp_path / "replay.done").exists()
    assert (tmp_path / "replay.log").read_text().splitlines()[-1] == "broken"


def test_the_check_of_a_machine_starts_nothing_that_it_has_no_time_for(tmp_path):
    """With what is left over for the next time, and status 0."""
    # The environment of these tests may not be the active one.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = run(
        "bash",
        SCRIPTS / "gpu_check.sh",
        *("--out", tmp_path, "--minutes", "0", "replay", "ant"),
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert "no time left for: replay ant" in done.stdout
    assert list(tmp_path.iterdir()) == []
