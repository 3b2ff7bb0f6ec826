"""Run every test stage and close with one summary: `python tests/run.py [STAGE ...]`.

Sequences of stages run side by side, since tests often wait for hosts. A stage's output goes to
.cache/test/STAGE.log and is shown when it fails. The summary lists the seconds of each stage and of
each Molecule phase; whatever was not exercised is listed by name at the very end.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".cache" / "test"
OTHER_PYTHON = "3.13"
AT_ONCE = 3
"""How many sequences of stages run side by side: four took two cores just as long."""

LONGEST = (
    "model_server",
    "integration",
    "default",
    "speed",
    "prometheus",
    "guide",
    "docker",
    "evidently_cron",
    "cloudwatch_agent",
    "prediction_archive",
    "review_desk",
    "edge",
    "spark",
    "grafana",
)
"""The order in which sequences start, so that no long one is left over at the end."""


@dataclass(frozen=True)
class Stage:
    """One command; `prepare` may give a reason to skip it, None to go on."""

    name: str
    command: Sequence[str]
    prepare: Callable[[], str | None] = lambda: None

    @property
    def title(self) -> str:
        """The name without what only says how the stage is run."""
        return self.name.removeprefix("molecule-")

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"

    @property
    def junit(self) -> Path:
        return LOGS / f"{self.name}.xml"


@dataclass
class Outcome:
    """What came of a stage."""

    stage: Stage
    seconds: float = 0.0
    status: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    cases: int = 0
    phases: str = ""


def pytest_stage(name: str, *paths: str, python: str = sys.executable) -> Stage:
    """A stage that runs pytest and records each case for the summary."""
    report = LOGS / f"{name}.xml"
    return Stage(name, [python, "-m", "pytest", f"--junitxml={report}", *paths])


def molecule_stage(scenario: str) -> Stage:
    """A stage that tests a Molecule scenario on hosts."""
    return Stage(f"molecule-{scenario}", ["molecule/run", scenario])


def other_environment() -> Path:
    return ROOT / f".venv-{OTHER_PYTHON}"


def prepare_other_environment() -> str | None:
    """Install the locked dependencies for the other supported Python, where there is one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [
        shutil.which(f"python{OTHER_PYTHON}"),
        *pyenv.glob(f"versions/{OTHER_PYTHON}.*/bin/python"),
    ]
    for candidate in filter(None, candidates):
        if (
            subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode
            == 0
        ):
            break
    else:
        return f"no Python {OTHER_PYTHON} on this machine: install python{OTHER_PYTHON} to run it"
    make_environment(other_environment(), candidate, "requirements.txt")
    return None


def make_environment(path: Path, python: str, lock: str) -> None:
    """Make a virtual environment with what a lock file has."""
    uv = str(Path(sys.executable).with_name("uv"))
    for command in (
        [uv, "venv", "--quiet", "--allow-existing", "--python", python, path],
        [uv, "pip", "sync", "--quiet", "--python", path, "--require-hashes", lock],
    ):
        subprocess.run(command, check=True, cwd=ROOT)


def prepare_spark() -> str | None:
    """Install Spark's environment, and a Java as root on Debian."""
    if not shutil.which("java"):
        if os.geteuid() or not shutil.which("apt-get"):
            return "no Java on this machine: install Java 17 or newer to run it"
        packages = ["apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends"]
        for command in (["apt-get", "update", "--quiet=2"], [*packages, "default-jre-headless"]):
            subprocess.run(
                command, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            )
    make_environment(ROOT / ".venv-spark", sys.executable, "requirements/spark.txt")
    return None


def prepare_prometheus() -> str | None:
    """Unpack the checkers of two releases of Prometheus and Alertmanager; nothing is started.

    Of this machine's Debian, as hosts install them as packages, and of Debian's next release: the
    nearest to the images that can be had without a registry.
    """
    if not shutil.which("apt-get"):
        return "no apt-get on this machine: run it on Debian or Ubuntu"
    try:
        unpack("installed", None, "prometheus", "prometheus-alertmanager", "debian-archive-keyring")
        unpack("forky", "forky", "promtool", "prometheus-alertmanager")
    except subprocess.CalledProcessError as error:
        return f"{' '.join(map(str, error.cmd))} failed: {' '.join(error.stderr.split())}"
    return None


def prepare_audit() -> str | None:
    """Find out whether the database of advisories answers, by the smallest lock file."""
    done = subprocess.run(
        [
            *("pip-audit", "--disable-pip", "--require-hashes", "--progress-spinner=off"),
            *("--format=json", "--requirement=requirements/serve.txt"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    try:
        audited = any("vulns" in one for one in json.loads(done.stdout)["dependencies"])
    except ValueError:
        audited = False
    return None if audited else "PyPI's advisories cannot be had here: run `make audit` elsewhere"


def unpack(name: str, suite: str | None, *packages: str) -> None:
    """Unpack packages of a suite of Debian's, or of this machine's, into .cache/prometheus/NAME."""
    unpacked = ROOT / ".cache" / "prometheus" / name
    if unpacked.exists():
        return
    unpacked.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=unpacked.parent) as work:
        # Lists of its own, so that neither root nor the machine's sources are needed.
        options = ["--quiet=2", f"--option=Dir::State={work}", f"--option=Dir::Cache={work}"]
        if suite:
            keyring = unpacked.parent / "installed/usr/share/keyrings/debian-archive-keyring.gpg"
            sources = Path(work, "sources.list")
            # A mirror may be some weeks old.
            trust = f"signed-by={keyring} check-valid-until=no"
            sources.write_text(f"deb [{trust}] http://deb.debian.org/debian {suite} main\n")
            options += [
                f"--option=Dir::Etc::SourceList={sources}",
                "--option=Dir::Etc::SourceParts=-",
            ]
        # apt verifies what it downloads against the keyring.
        for command in (["update"], ["download", *packages]):
            subprocess.run(
                ["apt-get", *options, *command],
                cwd=work,
                capture_output=True,
                text=True,
                check=True,
            )
        done = Path(work, "root")
        for package in Path(work).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, done], check=True)
        done.rename(unpacked)


def stages() -> list[list[Stage]]:
    """All stages, in sequences: a stage waits for those before it in its own sequence only."""
    scenarios = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}
    other_python = other_environment() / "bin" / "python"
    sequences = [
        [
            Stage("lint", ["make", "lint"]),
            Stage("audit", ["make", "audit"], prepare_audit),
            pytest_stage("unit", "tests/unit", "tests/docs"),
            replace(
                pytest_stage(f"unit-{OTHER_PYTHON}", "tests/unit", python=str(other_python)),
                prepare=prepare_other_environment,
            ),
            replace(pytest_stage("prometheus", "tests/prometheus"), prepare=prepare_prometheus),
            pytest_stage("terraform", "tests/terraform"),
            Stage("speed", [sys.executable, "-m", "bench.serving.guard"]),
        ],
        [pytest_stage("integration", "tests/integration")],
        [Stage("bundle", ["make", "bundle"]), molecule_stage("default")],
        [pytest_stage("guide", "tests/guide")],
        [replace(pytest_stage("spark", "tests/spark"), prepare=prepare_spark)],
        *([molecule_stage(name)] for name in sorted(scenarios - {"default"})),
    ]
    order = {name: place for place, name in enumerate(LONGEST)}
    return sorted(sequences, key=lambda sequence: order.get(sequence[-1].title, len(order)))


def reasons(case: ET.Element, *tags: str) -> list[str]:
    """Why a case was skipped or failed, with its name."""
    name = f"{case.get('classname')}::{case.get('name')}"
    return [f"{name}: {why.get('message')}" for tag in tags for why in case.iter(tag)]


def phases(stage: Stage) -> str:
    """The seconds of each phase of a Molecule stage, in one line; nothing for other stages."""
    report = ROOT / ".cache" / "molecule" / f"{stage.title}.json"
    if stage.name == stage.title or not report.exists():
        return ""
    return ", ".join(
        f"{phase} {n:.0f}" for phase, n in json.loads(report.read_text())["seconds"].items()
    )


def run(stage: Stage) -> Outcome:
    """Run one stage; never raises for a failing one."""
    outcome = Outcome(stage)
    begin = time.monotonic()
    print(f"{stage.name}: started", flush=True)
    reason = stage.prepare()
    if reason:
        outcome.skipped.append(f"{stage.name}: {reason}")
        print(f"{stage.name}: SKIPPED, {reason}", flush=True)
        return outcome
    with stage.log.open("wb") as log:
        outcome.status = subprocess.run(
            stage.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        ).returncode
    outcome.seconds = time.monotonic() - begin
    if stage.junit.exists():
        for case in ET.parse(stage.junit).iter("testcase"):
            outcome.cases += 1
            outcome.skipped += reasons(case, "skipped")
            outcome.failed += reasons(case, "failure", "error")
    outcome.phases = phases(stage)
    verdict = "passed" if outcome.status == 0 else f"FAILED with status {outcome.status}"
    print(f"{stage.name}: {verdict} after {outcome.seconds:.0f} s", flush=True)
    return outcome


def main(names: Sequence[str]) -> int:
    """Run the stages named (all by default); returns 1 when one of them failed."""
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    plan = stages()
    known = [stage.name for sequence in plan for stage in sequence]
    unknown = set(names) - set(known)
    if unknown:
        print(f"no stage {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
        return 2
    chosen = [
        [stage for stage in sequence if not names or stage.name in names] for sequence in plan
    ]
    begin = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(
            chain.from_iterable(pool.map(lambda sequence: [*map(run, sequence)], chosen))
        )
    minutes = (time.monotonic() - begin) / 60
    failed = [outcome for outcome in outcomes if outcome.status]
    for outcome in failed:
        print(f"\n===== {outcome.stage.name}: {outcome.stage.log}")
        print("\n".join(outcome.stage.log.read_text(errors="replace").splitlines()[-150:]))
    print("\n===== Summary")
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.seconds):
        cases = f", {outcome.cases} cases" if outcome.cases else ""
        state = "FAILED" if outcome.status else "passed"
        print(f"{outcome.stage.name:<24} {state}, {outcome.seconds:.0f} s{cases}")
        if outcome.phases:
            print(f"{'':<24} {outcome.phases}")
    skipped = [line for outcome in outcomes for line in outcome.skipped]
    if skipped:
        print("\n===== NOT EXERCISED HERE", *skipped, sep="\n  ")
    if failed:
        # Last, for where only the end of the output is kept.
        named = [line for outcome in failed for line in outcome.failed or [outcome.stage.name]]
        print("\n===== FAILED", *(line.splitlines()[0] for line in named), sep="\n  ")
    ran = len(outcomes) - sum(not outcome.seconds for outcome in outcomes)
    print(f"\n{minutes:.1f} min")
    # CI reads this line, so it has nothing else.
    print(f"{ran - len(failed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
