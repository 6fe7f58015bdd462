import json

import pytest

from mjxwm import cli
from mjxwm.cli.doctor import checks, warming
from mjxwm.reports import video


@pytest.fixture(scope="module")
def findings():
    return checks.diagnose()


def test_what_is_needed_works(findings):
    assert [f for f in findings if f.status == checks.BROKEN] == []
    by_name = {f.name: f for f in findings}
    assert {"python", "mujoco", "jax", "native", "mjx", "warp", "video", "torch"} <= set(by_name)
    assert "of locomotion" in by_name["tasks"].detail
    assert "debug" in by_name["presets"].detail
    assert by_name["native"].seconds is not None


def test_whatever_is_missing_comes_with_a_remedy(monkeypatch):
    """Every package, taken for missing: each finding names it and says how to install it."""
    monkeypatch.setattr(checks.system, "version", lambda name: None)
    packages = [*checks._PINS, *checks._LEAST]
    findings = [checks._package(name) for name in packages]
    assert {f.status for f in findings} == {checks.BROKEN}
    assert all(f.remedy.startswith("pip install") for f in findings), findings


def test_report_and_json(findings):
    text = checks.report(findings)
    assert all(f.name in text and f.remedy in text for f in findings)
    assert text.endswith("everything that is needed works")
    assert json.loads(json.dumps([f._asdict() for f in findings]))[0]["name"] == "python"


def test_no_rendering_is_a_finding(monkeypatch):
    def fails(*args, **kwargs):
        raise video.RenderingUnavailableError("no working OpenGL here", "on Debian: install it")

    monkeypatch.setattr(video, "video", fails)
    finding = checks._rendering()
    assert (finding.status, finding.remedy) == (checks.MISSING, "on Debian: install it")


def test_a_wrong_version_and_an_error_are_findings(monkeypatch):
    monkeypatch.setattr(checks.system, "version", lambda name: "4.0.0")
    finding = checks._package("mujoco")
    assert (finding.status, finding.remedy) == (checks.BROKEN, "pip install 'mujoco==3.17.0'")
    assert "==3.17.0 is needed" in finding.detail

    def fail(*args, **kwargs):
        raise OSError("no such library\nand more")

    monkeypatch.setattr(checks.envs, "make_task", fail)
    finding = checks._engine("native")
    assert finding.status == checks.BROKEN
    assert finding.detail == "OSError: no such library"
    assert finding.remedy
    assert checks.report([finding]).endswith("1 broken")


@pytest.mark.parametrize(
    ("environ", "remedy"),
    [
        ({"JAX_PLATFORMS": "cpu"}, "unset JAX_PLATFORMS, which is 'cpu'"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "unset CUDA_VISIBLE_DEVICES, which is ''"),
        ({"CUDA_VISIBLE_DEVICES": "0"}, "pip install 'mjxwm[cuda]' (driver R580 or newer)"),
    ],
)
def test_what_keeps_jax_from_a_gpu_is_said(environ, remedy, monkeypatch):
    monkeypatch.setattr(checks.os, "environ", environ)
    monkeypatch.setattr(checks.system, "version", lambda name: None)
    monkeypatch.setattr(checks.engines, "has_nvidia", lambda: False)
    monkeypatch.setattr(checks.Path, "is_dir", lambda path: True)
    status, _, todo = checks._devices()
    assert (status, todo) == (checks.WARNING, remedy)


def test_a_refusal_of_ours_is_not_answered_with_pip(monkeypatch):
    def refuse(*args, **kwargs):
        raise ValueError("rows_per_world='x' is unknown; choose a number")

    monkeypatch.setattr(checks.envs, "make_task", refuse)
    finding = checks._engine("warp")
    assert finding.detail.endswith("choose a number")
    assert not finding.remedy


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--arch 12", "--arch 12 is none that Warp compiles for"),
        ("", "no GPU here; name the one that it is for: --arch 90 for an H100"),
    ],
)
def test_what_warp_cannot_compile_for_is_said(args, message, capsys):
    import warp

    warp.init()
    if warp.is_cuda_available():
        pytest.skip("there is a GPU")
    assert cli.main(["doctor", "--warm", "debug", *args.split()]) == 2
    assert message in capsys.readouterr().err


def test_a_preset_s_modules_are_compiled_for_a_gpu_that_is_not_here(monkeypatch, capsys, tmp_path):
    from mjxwm_envs.engines import warp_ahead

    found = []
    monkeypatch.setattr(warp_ahead.Variant, "compile", lambda v, arch: not found.append((v, arch)))
    monkeypatch.setattr(warming.os, "cpu_count", lambda: 1)
    out = tmp_path / "warm.json"
    assert (
        cli.main(["doctor", "--warm", "cartpole-swingup", "--arch", "90", "--json", str(out)]) == 0
    )
    said = json.loads(out.read_text())
    assert said["modules"] == said["new"] == len(found) > 20
    assert {arch for _, arch in found} == {90}
    assert f"{said['modules']} modules of Warp's for sm_90" in capsys.readouterr().out


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("missing", 0), ("broken", 1)])
def test_the_status_says_whether_something_is_broken(status, code, monkeypatch):
    finding = checks.Finding("engines", "native", status, "as it is")
    monkeypatch.setattr(checks, "diagnose", lambda: [finding])
    assert cli.main(["doctor"]) == code
