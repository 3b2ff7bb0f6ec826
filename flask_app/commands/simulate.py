"""`simulate`: write the records of simulated auctions as CSV.

Example:
    shill simulate --auctions 5000 --seed 7 --output auctions.csv

Exit status: 0 the file is written, 1 a knob is out of its range or the file cannot be written.
"""

import argparse
from dataclasses import fields
from pathlib import Path

from flask_app.data.dataset import read_csv, to_csv
from flask_app.errors import DataError
from flask_app.simulator.market import Market
from flask_app.simulator.realism import distance_table
from flask_app.simulator.simulation import simulate


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: what to write, and a knob for each field of `Market`."""
    parser.add_argument("--auctions", type=int, default=1000, help="how many; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument(
        "--output", type=Path, required=True, help="CSV to write, in UCI 562's published form"
    )
    parser.add_argument(
        "--like", type=Path, help="real CSV; print how far the simulated records are from it"
    )
    knobs = parser.add_argument_group("knobs", "Who comes and how they behave.")
    for knob in fields(Market):
        about = knob.metadata
        knobs.add_argument(
            f"--{knob.name.replace('_', '-')}",
            type=float,
            default=knob.default,
            metavar="X",
            help=f"{about['description']} [{about['unit']}; {about['minimum']:g} .. "
            f"{about['maximum']:g}; default {knob.default:g}]",
        )


def run(arguments: argparse.Namespace) -> int:
    """Simulate, write and, with --like, compare."""
    market = Market(**{knob.name: getattr(arguments, knob.name) for knob in fields(Market)})
    real = read_csv(arguments.like) if arguments.like else None
    frame = simulate(arguments.auctions, arguments.seed, market).frame
    try:
        arguments.output.write_bytes(to_csv(frame))
    except OSError as error:
        raise DataError(
            f"--output {arguments.output}: {error.strerror}: name a file that can be written"
        ) from None
    print(f"{arguments.output}: {len(frame):,} records, {frame['is_shill'].mean():.1%} shill")
    if real is not None:
        print(distance_table(frame, real.frame).round(3).to_string())
    return 0
