"""The embedded Prefect server: a process of its own, which a killed night leaves behind."""

import os
import signal
from pathlib import Path

import httpx
import psutil

STARTED_BY = "PAWL_STARTED_BY"


def start_embedded_server(home: Path) -> None:
    """Start Prefect's ephemeral server for this process, after ending those whose night was killed.

    Ctrl-C reaches every process of a terminal; the server is started with it blocked, so that a night that is
    interrupted can still say so to Prefect. Prefect stops the server when this process ends.
    """
    from prefect.server.api.server import SubprocessASGIServer

    stop_orphaned_servers(home)
    os.environ[STARTED_BY] = str(os.getpid())
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        SubprocessASGIServer().start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def stop_embedded_server() -> None:
    """Stop this process's ephemeral server, if it has one."""
    from prefect.server.api.server import SubprocessASGIServer

    SubprocessASGIServer().stop()


def stop_orphaned_servers(home: Path) -> int:
    """End embedded servers of this Prefect home whose night is gone; the number of them."""
    stopped = 0
    for process in psutil.process_iter(["ppid", "cmdline"]):
        if "prefect.server.api.server:create_app" not in (process.info["cmdline"] or []):
            continue
        environment = environment_of(process)
        if environment.get("PREFECT_HOME") == str(home) and environment.get(STARTED_BY) != str(process.info["ppid"]):
            process.terminate()
            stopped += 1
    return stopped


def environment_of(process: psutil.Process) -> dict[str, str]:
    """A process's environment; empty when it is gone or another user's."""
    try:
        return process.environ()
    except psutil.Error:
        return {}


def answers(api_url: str) -> bool:
    """Whether a Prefect server is healthy at this URL."""
    try:
        return httpx.get(f"{api_url.rstrip('/')}/health", timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
