"""The app's own process: Streamlit on one port of the loopback address. Without sign-in nobody else may reach it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import dashboard
from warehouse.mistake import Mistake
from warehouse.site import Site

LOOPBACK = "127.0.0.1"
APP = Path(dashboard.__file__).resolve().parent.parent / "app.py"


def command(port: int) -> list[str]:
    """The command line that serves the app."""
    return [
        sys.executable, "-m", "streamlit", "run", str(APP),
        "--server.port", str(port), "--server.address", LOOPBACK, "--server.headless", "true",
    ]  # fmt: skip


def environment(site: Site) -> dict[str, str]:
    return {**os.environ, "NERVE_SITE": str(site.folder)}


def require_free(port: int) -> None:
    """Raises Mistake when something else listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise Mistake(
                f"port {port}", f"in use on {LOOPBACK}", f"stop what listens there or use --port {port + 1}"
            ) from error


def serve(site: Site, port: int) -> int:
    """Serve until stopped; the exit code of the server."""
    require_free(port)
    process = subprocess.Popen(command(port), env=environment(site), cwd=APP.parent)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: process.terminate())
    print(f"http://{LOOPBACK}:{port}", flush=True)
    return process.wait()
