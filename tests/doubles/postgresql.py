"""A PostgreSQL server of our own from Debian's binaries, on loopback, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from bot.running import free_port


class NoPostgresql(Exception):
    """The server's binaries are not there; the message says how to get them."""


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise NoPostgresql("PostgreSQL's server is not installed: apt-get install postgresql")
    return found[-1].parent


@contextmanager
def postgresql_server(**options: str) -> Iterator[str]:
    """Start one with `options` of postgresql.conf; its SQLAlchemy address. Raises NoPostgresql."""
    binaries = _binaries()
    # Not in pytest's folder: that is closed to other users again whenever another pytest starts.
    folder = Path(tempfile.mkdtemp(prefix="signpost-postgresql-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    port, data = free_port(), folder / "data"
    subprocess.run([*as_user, binaries / "initdb", "-D", data, "-U", "signpost", "-A", "trust", "-E", "UTF8"], check=True, stdout=subprocess.DEVNULL)
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off", **options}
    given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen([*as_user, binaries / "postgres", "-D", data, *given], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if subprocess.run([binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"]).returncode == 0:
                break
            server.poll()
            time.sleep(0.1)
        yield f"postgresql+psycopg://signpost@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # its "fast shutdown": it does not wait for clients
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
