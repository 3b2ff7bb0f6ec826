"""Objects are written where they were seen, read whole, and errors say what to check."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, IncompleteReadError
from botocore.response import StreamingBody

from flask_app.errors import S3Error, SettingError
from flask_app.s3 import ATTEMPTS, S3Folder
from tests.s3 import BUCKET, S3


@pytest.fixture
def folder(s3: S3) -> S3Folder:
    assert s3.objects() == {}
    return S3Folder(f"s3://{BUCKET}/folder")


@pytest.mark.parametrize("url", ["", "s3://", "s3:///key", "models", "S3://bucket"])
def test_a_url_without_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match=r"names no bucket: write s3://BUCKET"):
        S3Folder(url)


def test_what_is_written_is_read_with_its_metadata(folder: S3Folder, s3: S3) -> None:
    assert folder.put("a/b", b"content", metadata={"rows": "1"})

    found = folder.get("a/b")
    assert found is not None
    assert (found.content, found.metadata) == (b"content", {"rows": "1"})
    assert s3.read("folder/a/b") == b"content"
    assert folder.get("a") is None


def test_an_object_is_looked_at_without_its_content(folder: S3Folder) -> None:
    folder.put("name", b"content", metadata={"rows": "1"})

    head, whole = folder.head("name"), folder.get("name")
    assert head is not None
    assert whole is not None
    assert head == (b"", whole.etag, {"rows": "1"})
    assert folder.head("absent") is None


def test_nothing_is_written_over_unless_it_was_seen(folder: S3Folder) -> None:
    assert folder.put("name", b"1")
    assert not folder.put("name", b"2")
    first = folder.get("name")
    assert first is not None
    assert folder.put("name", b"2", replacing=first.etag)
    assert not folder.put("name", b"3", replacing=first.etag)
    found = folder.get("name")
    assert found is not None
    assert found.content == b"2"


def test_what_was_deleted_meanwhile_is_not_replaced(folder: S3Folder, s3: S3) -> None:
    folder.put("name", b"1")
    found = folder.get("name")
    s3.delete("folder/")
    assert found is not None
    assert not folder.put("name", b"2", replacing=found.etag)


def test_any_number_of_names_is_listed(folder: S3Folder, s3: S3) -> None:
    s3.write("folder2/x", b"")
    for number in range(1002):
        s3.write(f"folder/n/{number:04}", b"")

    assert list(folder.names("n/")) == [f"n/{number:04}" for number in range(1002)]
    assert list(folder.names("absent/")) == []


def test_an_answer_that_breaks_off_is_asked_for_again(
    folder: S3Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put("name", b"content")
    read, broken = StreamingBody.read, iter(range(ATTEMPTS - 1))

    def read_or_break(self: StreamingBody, *arguments: Any) -> bytes:
        for _ in broken:
            raise IncompleteReadError(actual_bytes=1, expected_bytes=7)
        return read(self, *arguments)

    monkeypatch.setattr(StreamingBody, "read", read_or_break)
    found = folder.get("name")
    assert found is not None
    assert found.content == b"content"

    broken = iter(range(ATTEMPTS))
    with pytest.raises(S3Error, match="folder/name cannot be read"):
        folder.get("name")


def test_who_may_list_some_prefixes_only_can_tell_what_is_absent_from_what_is_denied(
    folder: S3Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 calls an absent object denied where listing is allowed on a condition."""
    denied = ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject")
    folder.put("name", b"content")
    folder.put("absentee", b"content")

    def deny(**_arguments: Any) -> Any:
        raise denied

    monkeypatch.setattr(folder.client, "get_object", deny)

    assert folder.get("absent") is None
    with pytest.raises(S3Error, match=r"folder/name cannot be read .*AccessDenied"):
        folder.get("name")


def test_arrow_is_given_the_credentials_that_boto3_found(folder: S3Folder) -> None:
    assert folder.credentials() == {"access_key": "tests", "secret_key": "tests"}


def test_a_write_that_meets_another_is_tried_again(
    folder: S3Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")
    put, conflicts = folder.client.put_object, iter(range(ATTEMPTS - 1))

    def put_or_conflict(**arguments: Any) -> Any:
        for _ in conflicts:
            raise busy
        return put(**arguments)

    monkeypatch.setattr(folder.client, "put_object", put_or_conflict)
    monkeypatch.setattr("flask_app.s3.time.sleep", lambda _seconds: None)
    assert folder.put("name", b"content")

    conflicts = iter(range(ATTEMPTS))
    with pytest.raises(S3Error, match="folder/other cannot be written"):
        folder.put("other", b"content")


@pytest.mark.parametrize("cut", [True, False])
def test_errors_name_the_object_and_what_to_check(s3: S3, cut: bool) -> None:
    folder = S3Folder("s3://absent/folder")
    s3.cut = cut
    cause = "Could not connect" if cut else "NoSuchBucket"
    remedy = r".*\): check the network, the bucket's name and what the credentials may do"

    with pytest.raises(S3Error, match=rf"s3://absent/folder/a cannot be read \(.*{cause}{remedy}"):
        folder.get("a")
    with pytest.raises(S3Error, match=rf"s3://absent/folder/a cannot be written \(.*{cause}"):
        folder.put("a", b"")
    with pytest.raises(S3Error, match=rf"s3://absent/folder/a cannot be listed \(.*{cause}"):
        list(folder.names("a"))
