"""Measure how far drift monitoring can be trusted: `python -m bench.drift`."""

import argparse
import json
import re
import sys
import time
from typing import Any

from bench.drift import measure, report
from bench.drift.material import HERE, Population, Split, trained_reference
from flask_app.settings import Settings
from flask_app.training import source

ROOT = HERE.parents[1]
RESULTS = HERE / "results.json"
PAGE = ROOT / "docs/drift.md"
PLOT = ROOT / "docs/images/drift-power.png"
ESTIMATE_ROWS = 2_000


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.drift", description=__doc__)
    parser.add_argument("--splits", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--windows", type=int, default=200, help="a split (default: %(default)s)")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help=f"rewrite the figures in {PAGE.relative_to(ROOT)}, and {RESULTS.relative_to(ROOT)}",
    )
    options = parser.parse_args()
    run = _measure(options.splits, options.windows)
    print(report.figures(run))
    if options.write_docs:
        RESULTS.write_text(json.dumps(run, indent=1) + "\n")
        report.power_plot(run, PLOT)
        figures = f"<!-- figures -->\n\n{report.figures(run)}\n<!-- /figures -->"
        page = re.sub(
            r"<!-- figures -->.*<!-- /figures -->",
            lambda _: figures,
            PAGE.read_text(),
            flags=re.DOTALL,
        )
        PAGE.write_text(page)
    return 0


def _measure(count: int, windows: int) -> dict[str, Any]:
    dataset = source.load(Settings.from_environment())
    manifest, reference = trained_reference()
    begin = time.process_time()
    population = Population(dataset)

    def tell(what: str) -> None:
        print(f"{time.process_time() - begin:4.0f} s  {what}", file=sys.stderr)

    splits = [Split(population, seed) for seed in range(count)]
    tell(f"{count} references calibrated")
    false_alarms = measure.false_alarms(splits, windows)
    tell("false alarms")
    power = measure.power(splits, windows // 10)
    tell("power")
    outliers = measure.outliers(splits, windows // 40)
    tell("outliers")
    estimates = measure.estimates(
        reference, manifest.threshold.value, rows=ESTIMATE_ROWS, windows=windows, seed=0
    )
    tell("estimates")
    return report.results(
        dataset=dataset.name,
        splits=count,
        seconds=time.process_time() - begin,
        measured={
            "windows": windows,
            "false_alarms": false_alarms,
            "power": power,
            "outliers": outliers,
            "estimate_rows": ESTIMATE_ROWS,
            "estimates": estimates,
        },
    )


if __name__ == "__main__":
    sys.exit(main())
