"""What users and their machines cause is one line, by its class; faults keep their traceback."""

import errno
import shlex
from pathlib import Path

import pytest

from mjxwm import ConfigError, cli
from mjxwm.cli.arguments import mistakes, options, outputs
from mjxwm.runs import folders


class JaxRuntimeError(RuntimeError):
    """As JAX names what XLA raises."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "runs/a"), "runs/a: Permission denied"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "f/x"), "f/x: Not a directory"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (MemoryError("Unable to allocate 3.6 PiB"), "out of memory (Unable to allocate 3.6 PiB)"),
        (OverflowError("int too large to convert"), "too large to compute with (int too large"),
        (ValueError("Failed: No space left on device [os_error_code='28']\nmore"), "No space left"),
        (JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmore"), "device (RESOURCE_EXHAUSTED"),
    ],
)
def test_what_a_user_can_cause_is_one_line(error, words):
    said = mistakes.line(error)
    assert said is not None
    assert words in said
    assert "\n" not in said


def test_whatever_a_message_quotes_it_is_one_line_that_can_be_read():
    """No line breaks, nothing that moves a terminal's cursor, no value of a million letters."""
    assert (
        mistakes.line(ConfigError("XML Error: x\n  Element 'a'\n")) == "XML Error: x; Element 'a'"
    )
    assert mistakes.line(ConfigError("task=\x1b[2J\u00fc\u4e2d")) == "task=\\x1b[2J\u00fc\u4e2d"
    long = mistakes.line(ConfigError(f"task {'x' * 10**6} is unknown"))
    assert long is not None
    assert len(long) < 2100
    assert long.startswith("task xxx")
    assert long.endswith("xx is unknown")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a shape"),
        RuntimeError("RESOURCE_EXHAUSTED, but not of XLA"),
        JaxRuntimeError("INTERNAL: a kernel"),
        OSError("no file is named"),
        KeyError("name"),
    ],
)
def test_faults_of_the_program_are_not_hidden(error, monkeypatch):
    assert mistakes.line(error) is None

    def broken(args):
        raise error

    monkeypatch.setattr("mjxwm.cli.doctor.doctor", broken)
    with pytest.raises(type(error)):
        cli.main(["doctor"])


OPTIONS = [
    (["train", "debug"], "--folder", "folder"),
    (["train", "debug"], "--data", "folder"),
    (["train", "debug"], "--json", "file"),
    (["collect", "debug"], "--data", "folder"),
    (["collect", "mt4-cpu"], "--folder", "folder"),
    (["pretrain", "mt4-cpu"], "--json", "file"),
    (["import", "data", "chunk.pt"], "--data", "folder"),
    (["plot", "runs/a"], "--out", "file"),
    (["score", "runs/a"], "--json", "file"),
    (["compare"], "--out", "file"),
    (["gradients", "hopper"], "--html", "file"),
    (["bench", "replay"], "--json", "file"),
    (["envs", "check", "hopper"], "--json", "file"),
    (["doctor"], "--json", "file"),
]


@pytest.mark.parametrize(("args", "option", "kind"), OPTIONS)
def test_places_are_tried_before_the_work(args, option, kind, tmp_path, capsys, monkeypatch):
    """What a command would do is not even begun: no run of these is there."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    wrong = ["file/below.png", "/proc/below/x.png", "/proc/x.png"]
    for place in [*wrong, "folder.png" if kind == "file" else "file"]:
        assert cli.main([*args, option, place]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert f"{option} {place}" in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.parametrize("place", ["new/deep/a.json", "a.json", "old.json", "/dev/null"])
def test_a_place_that_can_be_written_is_left_as_it_is(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text("old")
    assert outputs.refused("json", Path(place)) == ""
    assert [p.name for p in tmp_path.iterdir()] == ["old.json"]
    assert Path("old.json").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("video", "film", "has another suffix than .mp4"),
        ("video", "film.webm", "has another suffix than .mp4"),
        ("out", "curves", "has another suffix than .png"),
        ("json", "x" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_made_there_is_named(name, path, words, tmp_path):
    assert words in outputs.refused(name, tmp_path / path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/abs", "a\\b", "x" * 256, "a\nb", "a\0b"])
def test_a_run_stays_in_its_folder(name, tmp_path, capsys):
    args = ["train", "debug", "--folder", str(tmp_path / "runs"), "--run", name]
    assert cli.main(args) == 2
    assert "error: run=" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="run="):
        folders.create(tmp_path / "runs", name, "debug")
    assert not list(tmp_path.iterdir())


def test_names_and_commands_of_odd_paths():
    folders.check_name("größer, with blanks")
    assert folders.name_of("m", "gymnasium/Ant-v5", 0) == "m-gymnasium-Ant-v5-0"
    assert folders.quoted("runs/a") == "runs/a"
    for odd in ("my runs/a", "it's", "-x", "$HOME", "a;b"):
        (word,) = shlex.split(folders.quoted(odd))
        assert Path(word) == Path(odd)
        assert not word.startswith("-")


def test_a_result_that_finds_no_place_any_more_is_printed(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        options.write({"return": 3}, tmp_path / "file" / "a.json")
    assert '"return": 3' in capsys.readouterr().out


def test_a_record_without_rows_is_not_drawn(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("task: hopper\n")
    (tmp_path / "metrics.jsonl").write_bytes(b"\xff\n[1]\n")
    assert cli.main(["plot", str(tmp_path), "--out", str(tmp_path / "c.png")]) == 2
    assert "metrics.jsonl has no row: there is nothing to draw" in capsys.readouterr().err
