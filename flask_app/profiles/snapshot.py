"""A snapshot of the profiles: what the auctions held until some moment add up to.

A bundle as a model's is one, with its data in a SQLite file that workers map into memory and so
share. It has the sums of `flask_app.bids.features.history`, not their quotients, so that one
auction more can be added to them.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from flask_app.errors import BundleError
from flask_app.settings import Settings
from flask_app.store import bundle
from flask_app.store.bundle import Sha256, Timestamp, Version
from flask_app.store.store import Store
from flask_app.store.stores import open_at

NAME = "profiles"
SCHEMA_VERSION = 1
DATABASE = "profiles.sqlite"

TABLES = """
    CREATE TABLE market (auctions INTEGER NOT NULL, bids INTEGER NOT NULL);
    CREATE TABLE categories (
        item_category TEXT PRIMARY KEY, auctions INTEGER NOT NULL, starting_prices REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE sellers (seller_id TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE bidders (
        bidder_id TEXT PRIMARY KEY, number INTEGER NOT NULL,
        auctions INTEGER NOT NULL, won INTEGER NOT NULL, bids INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE pairs (
        bidder INTEGER NOT NULL, seller INTEGER NOT NULL, bids INTEGER NOT NULL,
        PRIMARY KEY (bidder, seller)
    ) WITHOUT ROWID;
    CREATE TABLE held (auction_id TEXT PRIMARY KEY) WITHOUT ROWID;
"""
"""The tables of `DATABASE`. Pairs name bidder and seller by number: most of the file is theirs. The
category of auctions that have none is empty."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a snapshot says of itself.

    `until` is when the latest auction that was added up had closed at the latest; `auctions` are
    those with bids. `record_schema` is `flask_app.record.SCHEMA_ID`.
    """

    schema_version: int
    version: Version
    created_at: Timestamp
    until: Timestamp
    auctions: int
    bids: int
    bidders: int
    record_schema: str
    files: dict[str, Sha256]

    def content_version(self) -> str:
        """The version that belongs to this content."""
        return bundle.content_version(self, NAME)


class Snapshot(bundle.Bundle[Manifest]):
    """A snapshot on disk."""

    @classmethod
    def parse_manifest(cls, path: object, content: bytes) -> Manifest:
        """See `bundle.Bundle.parse_manifest`."""
        remedy = "make the profiles anew"
        manifest = bundle.decode_manifest(path, content, Manifest, SCHEMA_VERSION, remedy)
        if DATABASE not in manifest.files:
            raise BundleError(f"{path}: files does not list {DATABASE}: {remedy}")
        bundle.check_content(path, manifest, remedy)
        return manifest


ProfileStore = Store[Manifest]


def open_store(settings: Settings) -> ProfileStore:
    """Return the store that SHILL_PROFILE_STORE names: a directory, or s3://BUCKET/PREFIX."""
    return open_at(settings.profile_store, settings.profile_cache, Snapshot)


class Market(NamedTuple):
    """All auctions that have bids: how many, and how many bids they have."""

    auctions: int = 0
    bids: int = 0


class Category(NamedTuple):
    """Auctions of like items: how many, and the sum of their starting prices."""

    auctions: int = 0
    starting_prices: float = 0.0


class Bidder(NamedTuple):
    """A bidder's history.

    Attributes:
        auctions: In how many he bid.
        won: Of these.
        bids: How many, in all.
        bids_with_seller: Of these, on auctions of the seller asked about.
    """

    auctions: int
    won: int
    bids: int
    bids_with_seller: int


class Profiles:
    """A verified snapshot, open; to be used by one thread at a time.

    Attributes:
        manifest: What the snapshot says of itself.
        market: All its auctions.
    """

    def __init__(self, manifest: Manifest, database: sqlite3.Connection) -> None:
        self.manifest = manifest
        self._database = database
        self._execute = database.execute
        self.market = Market(*self._execute("SELECT auctions, bids FROM market").fetchone())

    @classmethod
    def load(cls, directory: Path, *, manifest_sha256: str | None = None) -> Self:
        """Verify the snapshot in `directory` and open it.

        Args:
            directory: Where it is; it may be read-only, and must not change.
            manifest_sha256: What the manifest's sha256 must be; a store's pointer tells it.

        Raises:
            ChecksumError: A file is not what the manifest or the pointer says.
            BundleError: The snapshot is incomplete, malformed or of another schema.
        """
        snapshot = Snapshot.open(directory, manifest_sha256=manifest_sha256)
        snapshot.verify()
        path = directory / DATABASE
        with _as_bundle_error(path):
            # Immutable: no locks, and no second look at the file for changes.
            database = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            try:
                database.execute(f"PRAGMA mmap_size = {path.stat().st_size}")
                return cls(snapshot.manifest, database)
            except sqlite3.Error:
                database.close()
                raise

    def close(self) -> None:
        """Close the file; dropping the last reference does so too."""
        self._database.close()

    def __del__(self) -> None:
        self.close()

    def category(self, name: str | None) -> Category:
        """Return what is known of a category, or of the auctions that have none."""
        found = self._execute(
            "SELECT auctions, starting_prices FROM categories WHERE item_category = ?",
            (name or "",),
        ).fetchone()
        return Category(*found) if found else Category()

    def holds(self, auction_id: str) -> bool:
        """Whether an auction is one of those that were added up."""
        query = "SELECT 1 FROM held WHERE auction_id = ?"
        return self._execute(query, (auction_id,)).fetchone() is not None

    def seller(self, seller_id: str) -> int | None:
        """Return the number of a seller, None if he held no auction."""
        query = "SELECT number FROM sellers WHERE seller_id = ?"
        found = self._execute(query, (seller_id,)).fetchone()
        return found and int(found[0])

    def bidder(self, bidder_id: str, seller: int | None) -> Bidder | None:
        """Return a bidder's history, None if he has none.

        Args:
            bidder_id: Who bids.
            seller: The seller's number, if he has one.
        """
        found = self._execute(
            "SELECT auctions, won, bids, (SELECT bids FROM pairs WHERE bidder = number AND "
            "seller = ?) FROM bidders WHERE bidder_id = ?",
            (seller, bidder_id),
        ).fetchone()
        if found is None:
            return None
        auctions, won, bids, bids_with_seller = found
        return Bidder(auctions, won, bids, bids_with_seller or 0)


@contextlib.contextmanager
def _as_bundle_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BundleError(f"{path} is no database of profiles ({error}): make them anew") from error
