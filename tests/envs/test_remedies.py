"""A message blames what is at fault, and its remedy is against that."""

import sys

import mjxwm_envs as envs
import pytest
from mjxwm_envs.packages import not_imported


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import absent_thing", r"has_tasks imports the module 'absent_thing', which is neither"),
        ("from json import absent", "cannot import name 'absent' from 'json'"),
        ("Other = 1", "has no attribute 'Walk'"),
        (
            "import mjxwm_envs as envs\nclass Walker(envs.Task): pass",
            r"no attribute 'Walk' .did you mean 'Walker'.*Its tasks are: Walker",
        ),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_within_a_user_s_module_is_not_a_missing_module(
    source, says, tmp_path, monkeypatch
):
    (tmp_path / "has_tasks.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "has_tasks", raising=False)
    with pytest.raises(ValueError, match=says):
        envs.make("has_tasks:Walk")


@pytest.mark.parametrize("name", ["no_such_folder.tasks:Walk", "no_such_module:Walk"])
def test_a_module_that_is_not_there_is_said_with_the_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    says = rf"No module named 'no_such_\w+', neither in the current folder \({tmp_path}\)"
    with pytest.raises(ValueError, match=says):
        envs.make(name)


@pytest.mark.parametrize("name", ["walk.py:Walk", "./walk:Walk", "robots/walk.py:Walk"])
def test_a_file_s_name_is_answered_with_the_module_s(name):
    with pytest.raises(ValueError, match=r"a module is named as in Python.*: walk:Walk"):
        envs.make(name)


def raised(source: str) -> ImportError:
    with pytest.raises(ImportError) as error:
        exec(source)
    return error.value


@pytest.mark.parametrize(
    ("package", "source", "says"),
    [
        ("absent_suite", "import absent_suite", "absent_suite is not installed; run: pip install"),
        ("json", "import json.v3", "the installed json has no json.v3, another version does"),
        ("suite", "import absent_part", "suite is installed, but not the module absent_part"),
        ("json", "from json import absent", "json is installed, but fails as it is imported"),
    ],
)
def test_a_package_that_cannot_be_imported_is_not_said_to_be_missing(package, source, says):
    said = str(not_imported(package, "mjxwm[suites]", raised(source)))
    assert said.startswith(says)


def test_no_package_is_made_up_for_a_factory_s_own_import():
    gymnasium = pytest.importorskip("gymnasium")

    def factory() -> gymnasium.Env:
        import my_own_helpers  # noqa: F401

    with pytest.raises(ValueError, match="imports the module 'my_own_helpers'") as refused:
        envs.from_gymnasium(factory, episode_length=5)
    assert "pip" not in str(refused.value)
