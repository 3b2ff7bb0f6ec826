"""What the tests share: questions to the edge, what is behind it, the role run anew."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from testinfra.host import Host

HERE = Path(__file__).parent
PORTS = (3000, 8000, 8001, 8002, 8900)


class Answer(NamedTuple):
    """What came back, with the names of headers in lower case."""

    status: int
    headers: dict[str, str]
    json: Any = None


Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def ask(host: Host) -> Ask:
    """Ask the edge, on its host."""
    program = (HERE / "ask.py").read_text()

    def run(
        path: str,
        *,
        method: str = "GET",
        base: str = "https://localhost",
        size: int = 0,
        **headers: str,
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        arguments = (program, base + path, method, json.dumps(sent), str(size))
        return Answer(**json.loads(host.check_output("python3 -c %s %s %s %s %s", *arguments)))

    return run


@pytest.fixture(scope="module", autouse=True)
def backend(host: Host) -> Iterator[Callable[..., None]]:
    """What is behind the edge; call it with `start` or `stop`, and ports if not all are meant."""
    host.check_output("printf %%s %s >/root/backend.py", (HERE / "backend.py").read_text())

    def control(verb: str, *ports: int) -> None:
        for port in ports or PORTS:
            unit = f"backend-{port}"
            if verb == "start":
                run = f"systemd-run --quiet --collect --unit={unit} python3 /root/backend.py {port}"
                host.check_output(run)
            else:
                host.check_output(f"systemctl stop {unit}")

    control("start")
    listening = "ss --listening --tcp --numeric | grep --count -E ':(3000|800[012]|8900) '"
    host.check_output(f"until [ $({listening}) = {len(PORTS)} ]; do sleep 0.1; done")
    yield control
    control("stop")
