"""`model`: list, verify, publish, promote and roll back bundles of the store SHILL_MODEL_STORE.

Runs in the serving image: no training dependency.

Examples:
    shill model list
    shill model promote uci562-0123456789ab
    shill model rollback

Exit status: 0 done, 1 a version is damaged, or store and bundle refuse it.
"""

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, NamedTuple

from flask_app.commands.table import print_json, table
from flask_app.errors import BundleError, StoreError
from flask_app.model.bundle import Manifest
from flask_app.model.predictor import Predictor, load_version
from flask_app.model.stores import ModelStore, open_store
from flask_app.settings import Settings
from flask_app.store.bundle import M
from flask_app.store.store import Pointer, Store

BUNDLE: Any = {
    "default": "production",
    "metavar": "BUNDLE",
    "help": "production (the default), a version, or a directory with a slash in its path",
}
"""How every command names a bundle; see `find` and `load`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=summary, description=summary)

    listing = action("list", "show every version and how good it is; * is in production")
    listing.add_argument("--json", action="store_true", help="print a JSON array of objects")

    path = action("path", "print the directory of a bundle")
    verify = action("verify", "check a bundle's sha256 sums and score its golden rows")
    for reading in (path, verify):
        reading.add_argument("bundle", nargs="?", **BUNDLE)

    publish = action("publish", "copy a bundle into the store")
    publish.add_argument("directory", type=Path)

    promote = action("promote", "verify a version and put it into production")
    promote.add_argument("version")
    rollback = action("rollback", "put the version before this one back into production")
    for changing in (promote, rollback):
        changing.add_argument(
            "--unverified",
            action="store_true",
            help="do not verify it; for drills with a broken bundle",
        )


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns 1 if `list` finds a damaged version, else 0."""
    store = open_store(Settings.from_environment())
    match arguments.action:
        case "list":
            return _list(store, arguments.json)
        case "path":
            print(find(store, arguments.bundle))
        case "verify":
            predictor = load(store, arguments.bundle)
            files, rows = len(predictor.manifest.files), len(predictor.manifest.golden_rows)
            print(f"{predictor.version}: {files} files and {rows} golden rows are as published")
        case "publish":
            print(store.publish(arguments.directory))
        case "promote":
            if not arguments.unverified:
                load_version(store, arguments.version)
            print(store.promote(arguments.version).version)
        case "rollback":
            pointer = store.production()
            if pointer and pointer.previous and not arguments.unverified:
                load_version(store, pointer.previous)
            print(store.rollback().version)
    return 0


def find(store: ModelStore, bundle: str) -> Path:
    """Return the directory of "production", of a version, or the directory (it has a slash)."""
    if "/" in bundle:
        return Path(bundle)
    return store.fetch(_production(store).version if bundle == "production" else bundle)


def load(store: ModelStore, bundle: str) -> Predictor:
    """Load what `find` finds, and insist that it is what the pointer or the version says."""
    if "/" in bundle:
        return Predictor.load(Path(bundle))
    if bundle != "production":
        return load_version(store, bundle)
    pointer = _production(store)
    return Predictor.load(store.fetch(pointer.version), manifest_sha256=pointer.manifest_sha256)


def _production(store: ModelStore) -> Pointer:
    pointer = store.production()
    if pointer is None:
        held = ", ".join(store.versions()) or "none"
        raise StoreError(f"no version is in production: promote one of {held}")
    return pointer


class _Listed(NamedTuple):
    """A version, as `list` shows it."""

    production: bool
    version: str
    created_at: datetime
    estimator: str
    calibration: str
    threshold: float
    roc_auc: float
    f1: float
    brier: float


HEADER = (
    *("", "version", "created, UTC"),
    *("estimator", "calibration", "threshold"),
    *("ROC AUC", "F1", "Brier"),
)


class Held(NamedTuple, Generic[M]):
    """What a store holds: which version is in use, all manifests, and what is damaged."""

    promoted: str | None
    manifests: list[M]
    damaged: list[str]

    def complain(self) -> int:
        """Tell what is damaged; returns 1 if anything is, else 0."""
        for line in self.damaged:
            print(line, file=sys.stderr)
        return 1 if self.damaged else 0


def look_into(store: Store[M]) -> Held[M]:
    """Read every manifest of a store."""
    pointer = store.production()
    held: Held[M] = Held(pointer.version if pointer else None, [], [])
    for version in store.versions():
        try:
            held.manifests.append(store.manifest(version))
        except BundleError as error:
            held.damaged.append(f"{version} is damaged: {error}")
    return held


def _list(store: ModelStore, as_json: bool) -> int:
    held = look_into(store)
    listed = [_describe(manifest, manifest.version == held.promoted) for manifest in held.manifests]
    if as_json:
        print_json([item._asdict() for item in listed])
    else:
        rows: list[list[str | float]] = [
            [
                "*" if item.production else "",
                item.version,
                f"{item.created_at:%Y-%m-%d %H:%M}",
                *(item.estimator, item.calibration, item.threshold),
                *(item.roc_auc, item.f1, item.brier),
            ]
            for item in listed
        ]
        print(table(HEADER, rows))
    return held.complain()


def _describe(manifest: Manifest, production: bool) -> _Listed:
    return _Listed(
        production,
        manifest.version,
        manifest.created_at,
        manifest.estimator,
        manifest.calibration,
        manifest.threshold.value,
        manifest.metrics.roc_auc,
        manifest.metrics.f1,
        manifest.metrics.brier,
    )
