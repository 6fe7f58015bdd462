"""`mjxwm view`: who is let in, and mistakes in one line."""

import importlib.util
import socket

import pytest

from mjxwm import cli
from mjxwm.cli import view

needs_viser = pytest.mark.skipif(
    importlib.util.find_spec("mjviser") is None, reason="the extra viewer is not installed"
)


def refusal(args, capsys):
    assert cli.main(["view", *args]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_without_the_extra_one_line_says_how_to_install_it(capsys, monkeypatch):
    monkeypatch.setattr(view.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'mjxwm[viewer]'" in refusal(["ant"], capsys)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "view takes one of a run's folder, a task, or --pretrained NAME"),
        (["ant", "--pretrained", "ant"], "view takes one of"),
        (["ant", "--worlds", "0"], "worlds=0 is out of range"),
        (["ant", "--seconds", "-1"], "seconds=-1.0 is out of range"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(args, words, capsys):
    assert words in refusal(args, capsys)


@needs_viser
def test_a_port_in_use_is_refused(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refusal(["cartpole-swingup", "--port", str(port)], capsys)
    assert f"port {port} is in use" in line
    assert "out of range" in refusal(["cartpole-swingup", "--port", "70000"], capsys)
    assert "--host 203.0.113.1" in refusal(
        ["cartpole-swingup", "--host", "203.0.113.1", "--port", "0"], capsys
    )


@needs_viser
def test_the_page_is_for_this_machine_alone_and_opens_no_way_in():
    from mjxwm.reports.viewer import server

    page = server.serve("127.0.0.1", 0, "page")
    try:
        port = page.get_port()
        sockets = page._websock_server
        assert sockets._host == "127.0.0.1"
        assert page.request_share_url() is None
    finally:
        server.close(page)
    open_line, remote_line = server.addresses("127.0.0.1", port)
    assert f"http://localhost:{port}" in open_line
    assert f"ssh -L {port}:localhost:{port}" in remote_line
    assert "any machine" in server.addresses("0.0.0.0", port)[0]
