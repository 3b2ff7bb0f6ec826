"""The keys of an API: made, listed and revoked; a file holds their hashes, never a key."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from flask_app.errors import KeyNotFound, KeysError
from flask_app.files import locked, write
from flask_app.store.bundle import Timestamp

Scope = Literal["predict", "feedback", "admin"]
"""What a key may ask for: predictions and what the model is, labels, or everything."""
SCOPES: tuple[Scope, ...] = get_args(Scope)

KEYS = "keys.json"
SECRET = "secret"  # noqa: S105 - a file's name
"""The file of the store's own secret, with which keys are hashed: hashes alone verify no guess."""
MAX_KEYS = 1000
MAX_RATE = 1e6
NAME_PATTERN = r"^[\w .@:/-]{1,100}$"
PREFIX = "shill_"
"""How every key begins, so that programs which look for secrets find one that got away."""
ID_CHARACTERS = "abcdefghjkmnpqrstuvwxyz23456789"
ID_LENGTH = 8
PRIVATE = 0o600


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a key. The key itself is shown once, when it is made."""

    id: Annotated[str, Meta(pattern=rf"^[{ID_CHARACTERS}]{{{ID_LENGTH}}}$")]
    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    requests_per_second: Annotated[float, Meta(gt=0.0, le=MAX_RATE)]
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None = None


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: Literal[1]
    keys: Annotated[tuple[Key, ...], Meta(max_length=MAX_KEYS)]


def hash_of(secret: bytes, store_secret: bytes) -> bytes:
    """Hash a key's secret part: fast, since 256 random bits cannot be guessed."""
    return blake2b(secret, key=store_secret, digest_size=32).digest()


class KeyStore:
    """The keys in a directory; one process at a time changes them.

    Args:
        directory: Of the two files; made with the first key.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def keys(self) -> tuple[Key, ...]:
        """Return every key that was ever made, in the order in which they were.

        Raises:
            KeysError: The file cannot be read, or is not of this schema.
        """
        path = self.directory / KEYS
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Content).keys
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError) as error:
            raise KeysError(
                f"the keys in {path} cannot be used ({error}): restore it, or make it readable"
            ) from error

    def secret(self) -> bytes:
        """Return the store's secret, empty before there is a key; raises `KeysError`."""
        path = self.directory / SECRET
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise KeysError(f"{path} cannot be read ({error}): make it readable") from error

    def create(
        self,
        name: str,
        *,
        scopes: tuple[Scope, ...],
        requests_per_second: float,
        lifetime: timedelta | None,
    ) -> tuple[Key, str]:
        """Make a key; returns what is kept of it, and the key, which nothing can tell again.

        Args:
            name: Whose it is, up to 100 letters, digits, spaces and any of `_.@:/-`.
            scopes: What it may ask for.
            requests_per_second: How often, averaged over a second.
            lifetime: How long; None: without end.

        Raises:
            KeysError: A value is out of range, or there are too many keys.
        """
        if not re.fullmatch(NAME_PATTERN, name):
            raise KeysError(
                f"the name is {name!r}: use 1 to 100 letters, digits, spaces and any of _.@:/-"
            )
        if not 0 < requests_per_second <= MAX_RATE:
            raise KeysError(
                f"the rate is {requests_per_second:g}: use requests a second above 0, up to "
                f"{MAX_RATE:g}"
            )
        if not scopes:
            raise KeysError(f"the key has no scope: give it some of {', '.join(SCOPES)}")
        made = secrets.token_urlsafe(32)
        key_id = "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))
        now = datetime.now(UTC).replace(microsecond=0)
        with locked(self.directory):
            store_secret = self.secret()
            if not store_secret:
                store_secret = secrets.token_urlsafe(32).encode()  # text: Ansible copies it
                write(self.directory / SECRET, store_secret, mode=PRIVATE)
            key = Key(
                id=key_id,
                name=name,
                hash=hash_of(made.encode(), store_secret).hex(),
                scopes=tuple(dict.fromkeys(scopes)),
                requests_per_second=requests_per_second,
                created_at=now,
                expires_at=now + lifetime if lifetime else None,
            )
            keys = self.keys()
            if len(keys) == MAX_KEYS:
                raise KeysError(
                    f"there are {MAX_KEYS} keys already: delete what is revoked from "
                    f"{self.directory / KEYS}"
                )
            self._write((*keys, key))
        return key, f"{PREFIX}{key_id}_{made}"

    def revoke(self, key_id: str) -> Key:
        """Revoke a key, for good; one that is revoked already stays as it is.

        Raises:
            KeyNotFound: There is none of this id.
        """
        with locked(self.directory):
            keys = self.keys()
            found = next((key for key in keys if key.id == key_id), None)
            if found is None:
                held = ", ".join(key.id for key in keys) or "none"
                raise KeyNotFound(f"there is no key {key_id!r}: there are {held}")
            if found.revoked_at is None:
                revoked = replace(found, revoked_at=datetime.now(UTC).replace(microsecond=0))
                self._write(tuple(revoked if key is found else key for key in keys))
                found = revoked
        return found

    def _write(self, keys: tuple[Key, ...]) -> None:
        content = msgspec.json.format(msgspec.json.encode(_Content(1, keys)), indent=1)
        write(self.directory / KEYS, content, mode=PRIVATE)
