"""The options by which commands are given an auction site's tables."""

import argparse


def declare_tables(parser: argparse.ArgumentParser) -> None:
    """Declare where the tables are, and how much memory reading them may take."""
    for name in ("auctions", "bids"):
        parser.add_argument(
            f"--{name}", required=True, metavar="PATH", help="file, directory or s3://BUCKET/PREFIX"
        )
    parser.add_argument(
        "--memory-limit",
        default="2GB",
        metavar="SIZE",
        help="of the database, which goes on in a file beyond it; default %(default)s",
    )
