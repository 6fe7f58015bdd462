"""The page's address: loopback unless another is wanted, and one port that is free."""

import contextlib
import io
import logging
import socket
from typing import Any

import viser

from mjxwm import ConfigError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(host: str, port: int, label: str) -> viser.ViserServer:
    """A page at this address.

    Args:
        host: the address to listen at; 0.0.0.0 lets other machines in.
        port: the port, 0 for any that is free.
        label: its name.

    Raises:
        ConfigError: the port is in use or not allowed, or the address is not this machine's.
    """
    _check(host, port)
    # Whoever connects and says nothing, as a scan of ports does, would leave a traceback.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):  # a box of its own
        server = viser.ViserServer(host=host, port=port, label=label, verbose=False)
    if port not in (0, server.get_port()):
        server.stop()
        raise ConfigError(_in_use(port))
    # Its button would open a way in from the internet, for whoever has the page open.
    server.request_share_url = _no_share  # type: ignore[method-assign]
    server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
    return server


def _no_share(verbose: bool = True) -> None:
    return None


def _check(host: str, port: int) -> None:
    if not 0 <= port <= 65535:
        raise ConfigError(f"port={port} is out of range; it must be from 0 to 65535")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen()
    except OSError as error:
        if error.errno == 98:  # EADDRINUSE
            raise ConfigError(_in_use(port)) from error
        raise ConfigError(f"--host {host} --port {port}: {error.strerror or error}") from error


def _in_use(port: int) -> str:
    return f"port {port} is in use; take another with --port, or --port 0 for any that is free"


def addresses(host: str, port: int) -> list[str]:
    """What to say of where the page is: lines."""
    if host not in _LOOPBACK:
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
        return [f"open     http://{shown}:{port}, from any machine that reaches this one"]
    return [
        f"open     http://localhost:{port}",
        f"remote   from another machine: ssh -L {port}:localhost:{port} {socket.gethostname()}, "
        "then the same address there",
    ]


def close(server: Any) -> None:
    """Ends the page, without a word."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()
