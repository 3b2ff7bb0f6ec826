"""`simulate`: write simulated auctions as CSV: their records, or the auctions and bids themselves.

Examples:
    shill simulate --auctions 5000 --seed 7 --output records.csv
    shill simulate --auctions 5000 --seed 7 --bids site/

Exit status: 0 the files are written, 1 a knob is out of its range or a file cannot be written.
"""

import argparse
from dataclasses import fields
from pathlib import Path

from flask_app import files
from flask_app.data.dataset import read_csv, to_csv
from flask_app.errors import SettingError
from flask_app.simulator.market import Market
from flask_app.simulator.realism import distance_table
from flask_app.simulator.simulation import as_csv, hold_auctions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments: what to write, and a knob for each field of `Market`."""
    parser.add_argument("--auctions", type=int, default=1000, help="how many; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default %(default)s")
    parser.add_argument(
        "--output", type=Path, help="labelled records to write, in UCI 562's published form"
    )
    parser.add_argument(
        "--bids",
        type=Path,
        metavar="DIR",
        help="directory to make, with auctions.csv and bids.csv as `score` reads them",
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
    if not arguments.output and not arguments.bids:
        raise SettingError("neither --output nor --bids is given: say what to write")
    simulation = hold_auctions(arguments.auctions, arguments.seed, market)
    frame = simulation.dataset.frame
    if arguments.output:
        files.write(arguments.output, to_csv(frame))
        print(f"{arguments.output}: {len(frame):,} records, {frame['is_shill'].mean():.1%} shill")
    if arguments.bids:
        files.write_directory(arguments.bids, as_csv(simulation.auctions, simulation.bids))
        print(
            f"{arguments.bids}: {len(simulation.auctions):,} auctions, "
            f"{len(simulation.bids):,} bids"
        )
    if real is not None:
        print(distance_table(frame, real.frame).round(3).to_string())
    return 0
