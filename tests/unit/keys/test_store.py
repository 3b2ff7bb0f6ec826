"""Keys are made, listed and revoked; what is kept of them lets nobody ask."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flask_app.cli import main
from flask_app.errors import KeyNotFound, KeysError
from flask_app.keys.store import Key, KeyStore, Scope


def create(store: KeyStore, **options: Any) -> tuple[Key, str]:
    defaults: dict[str, Any] = {
        "name": "partner",
        "scopes": ("predict",),
        "requests_per_second": 100.0,
        "lifetime": timedelta(days=1),
    }
    return store.create(**(defaults | options))


def test_a_key_is_shown_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    key, made = create(store)
    assert made.startswith(f"shill_{key.id}_")
    assert store.keys() == (key,)
    secret = made.rpartition("_")[2]
    for file in store.directory.iterdir():
        assert secret.encode() not in file.read_bytes()
        assert file.name == ".lock" or file.stat().st_mode & 0o077 == 0


def test_a_revoked_key_stays_listed_and_revoked(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    (first, _), (second, _) = create(store), create(store)
    revoked = store.revoke(first.id)
    assert revoked.revoked_at
    assert store.revoke(first.id) == revoked
    assert store.keys() == (revoked, second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "the name is '': use 1 to 100 letters"),
        ({"name": "two\nlines"}, "the name is 'two\\nlines': use"),
        ({"requests_per_second": 0.0}, "the rate is 0: use requests a second above 0"),
        ({"requests_per_second": float("nan")}, "the rate is nan: use"),
        ({"scopes": ()}, "the key has no scope: give it some of predict, feedback, admin"),
    ],
)
def test_a_key_that_nobody_could_use_is_not_made(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    store = KeyStore(tmp_path)
    with pytest.raises(KeysError) as caught:
        create(store, **options)
    assert str(caught.value).startswith(message)
    assert store.keys() == ()


def test_a_key_that_is_not_there_cannot_be_revoked(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    key, _ = create(store)
    with pytest.raises(KeyNotFound, match=f"no key 'nobody': there are {key.id}"):
        store.revoke("nobody")


@pytest.mark.parametrize("content", ["", "{", '{"schema": 2, "keys": []}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(KeysError, match=r"keys\.json cannot be used .* restore it"):
        KeyStore(tmp_path).keys()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyStore:
    """The store of the command line."""
    monkeypatch.setenv("SHILL_KEY_STORE", str(tmp_path))
    return KeyStore(tmp_path)


def test_the_command_makes_lists_and_revokes(
    store: KeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    scopes: tuple[Scope, ...] = ("predict", "feedback")
    assert main(["keys", "create", "partner", "--scopes=predict,feedback", "--days=0"]) == 0
    (key,) = store.keys()
    assert (key.scopes, key.expires_at, key.requests_per_second) == (scopes, None, 100.0)
    said = capsys.readouterr()
    assert said.out.startswith(f"shill_{key.id}_")
    assert said.out.count("\n") == 1
    assert main(["keys", "revoke", key.id]) == 0
    capsys.readouterr()
    assert main(["keys", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["id"], listed["state"], listed["expires_at"]) == (key.id, "revoked", "never")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--scopes=predict,all", "--scopes has 'all': use some of predict, feedback, admin"),
        ("--days=-1", "--days is -1: use a number from 0 (never) to 3650"),
        ("--days=nan", "--days is nan: use a number from 0 (never) to 3650"),
        ("--rate=0", "the rate is 0: use requests a second above 0, up to 1e+06"),
    ],
)
def test_the_command_refuses_what_it_cannot_make(
    store: KeyStore, capsys: pytest.CaptureFixture[str], option: str, message: str
) -> None:
    assert main(["keys", "create", "partner", option]) == 1
    assert message in capsys.readouterr().err
    assert store.keys() == ()
