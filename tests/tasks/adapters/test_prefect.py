import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from tasks.adapters.prefect import answers, stop_orphaned_servers

CHILD = """
import sys
from pathlib import Path
from tasks.adapters.prefect import start_embedded_server
start_embedded_server(Path(sys.argv[1]))
from prefect.server.api.server import SubprocessASGIServer
print(SubprocessASGIServer().api_url, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_the_server_of_a_killed_night_is_ended_by_the_next_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path)]
    environment = os.environ | {"PREFECT_HOME": str(tmp_path)}
    night = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert night.stdout is not None
    address = night.stdout.readline().strip()
    [server] = psutil.Process(night.pid).children()
    assert answers(address)
    assert stop_orphaned_servers(tmp_path) == 0
    assert answers(address)
    os.kill(night.pid, signal.SIGKILL)
    night.wait()
    assert stop_orphaned_servers(tmp_path) == 1
    server.wait(timeout=30)
    assert not answers(address)


def test_a_server_that_is_not_there_does_not_answer() -> None:
    assert not answers("http://127.0.0.1:9/api")
