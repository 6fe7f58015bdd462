"""`mjxwm collect` of several tasks: what its status says, and when it goes on with the next."""

from types import SimpleNamespace

import pytest

from mjxwm import cli
from mjxwm.cli import collect


def ended(finished=True, signal=None, status=0):
    return SimpleNamespace(finished=finished, signal=signal, status=status)


@pytest.mark.parametrize(
    ("results", "status", "collected"),
    [
        ([ended(), None, ended()], 0, 3),
        ([ended(status=4), None, ended()], 4, 3),
        ([ended(signal=15, status=143)], 143, 1),
        ([ended(), ended(finished=False, signal=2, status=130)], 130, 1),
    ],
    ids=["all", "not written", "a signal at the end of a run", "a signal"],
)
def test_its_status(results, status, collected, tmp_path, monkeypatch, capsys):
    runs = {str(i): None for i in range(3)}
    written, left = [], list(results)
    monkeypatch.setattr(collect, "_collections", lambda *_: runs)
    monkeypatch.setattr(collect, "_chosen", lambda *_: [])
    monkeypatch.setattr(collect, "_collect_one", lambda *_: left.pop(0))
    monkeypatch.setattr(collect, "write", lambda values, target: written.extend(values))
    assert cli.main(["collect", "mt4-cpu", "--folder", str(tmp_path)]) == status
    assert (left, len(written)) == ([], collected)
    assert ("the same command goes on" in capsys.readouterr().out) == (status > 128)
