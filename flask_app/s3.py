"""Objects in S3: a few operations, none of which waits long, and errors that say what to check.

Region, endpoint and credentials come from where boto3 finds them: on AWS the instance's role.
"""

import base64
import hashlib
import io
import mimetypes
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from flask_app.errors import S3Error, SettingError

SCHEME = "s3://"
ATTEMPTS = 3
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=3,
    retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},  # waits 1 and 2 s at most
)
_ABSENT = "NoSuchKey"
_CHANGED = {"PreconditionFailed", _ABSENT}
_DENIED = "AccessDenied"
_NO_HEAD = "404"
"""What HEAD says, which has no body, where there is no object."""
_BUSY = "ConditionalRequestConflict"


class S3Object(NamedTuple):
    """An object as it was read."""

    content: bytes
    etag: str
    metadata: dict[str, str]


class S3Folder:
    """The objects whose keys begin with `prefix/`, by the rest of their key.

    Every operation raises `S3Error` where S3 does not answer or refuses. None overwrites or deletes
    what it has not seen.

    Args:
        url: s3://bucket or s3://bucket/prefix.
    """

    def __init__(self, url: str) -> None:
        bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not bucket:
            raise SettingError(f"{url!r} names no bucket: write s3://BUCKET or s3://BUCKET/PREFIX")
        self.bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        # A session of its own: boto3's default one is not to be shared between threads.
        self._session = boto3.session.Session()
        self.client = self._session.client("s3", config=_CONFIG)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self._prefix}".rstrip("/")

    def key(self, name: str) -> str:
        """Return the whole key of an object."""
        return self._prefix + name

    def get(self, name: str) -> S3Object | None:
        """Read an object; None if there is none."""
        with self._request("read", name):
            for attempt in range(ATTEMPTS):
                try:
                    answer = self.client.get_object(Bucket=self.bucket, Key=self.key(name))
                except ClientError as error:
                    if self._tells_absence(error, name):
                        return None
                    raise
                try:
                    content = answer["Body"].read()
                except BotoCoreError:  # broken off: unlike a missing answer, boto3 leaves it to us
                    if attempt == ATTEMPTS - 1:
                        raise
                else:
                    return S3Object(content, answer["ETag"], answer["Metadata"])
        raise AssertionError

    def head(self, name: str) -> S3Object | None:
        """Look at an object without reading its content; None if there is none."""
        with self._request("read", name):
            try:
                answer = self.client.head_object(Bucket=self.bucket, Key=self.key(name))
            except ClientError as error:
                if _code(error) == _NO_HEAD or self._tells_absence(error, name):
                    return None
                raise
            return S3Object(b"", answer["ETag"], answer["Metadata"])

    def put(
        self,
        name: str,
        content: bytes,
        *,
        replacing: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """Write an object where there is none, or in place of the one with the ETag `replacing`.

        Returns:
            Whether it was written. If not, another object is there now; it may be this very one,
            when the answer to it was lost.
        """
        sha256 = hashlib.sha256(content).digest()
        condition = {"IfMatch": replacing} if replacing else {"IfNoneMatch": "*"}
        with self._request("written", name):
            for attempt in range(ATTEMPTS):
                try:
                    self.client.put_object(
                        Bucket=self.bucket,
                        Key=self.key(name),
                        # A stream, so that no timeout is for all of it.
                        Body=io.BytesIO(content),
                        ContentType=mimetypes.guess_type(name)[0] or "application/octet-stream",
                        ChecksumSHA256=base64.b64encode(sha256).decode(),
                        Metadata=dict(metadata or {}),
                        **condition,
                    )
                except ClientError as error:
                    if _code(error) in _CHANGED:
                        return False
                    if _code(error) != _BUSY or attempt == ATTEMPTS - 1:
                        raise
                    time.sleep(0.1 * 2**attempt)
                else:
                    return True
        raise AssertionError

    def names(self, prefix: str = "") -> Iterator[str]:
        """List the objects whose names begin with `prefix`, sorted."""
        with self._request("listed", prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.key(prefix)
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield item["Key"].removeprefix(self._prefix)

    def _tells_absence(self, error: ClientError, name: str) -> bool:
        """Whether there is no object; who may list some prefixes only is told that it is denied."""
        if _code(error) == _DENIED:
            return next(self.names(name), None) != name
        return _code(error) == _ABSENT

    def credentials(self) -> dict[str, str]:
        """Return what boto3 found, under Arrow's names; nothing if it found none."""
        with self._request("read", ""):
            found = self._session.get_credentials()
            if found is None:
                return {}
            key, secret, token = found.get_frozen_credentials()[:3]
        named = {"access_key": key, "secret_key": secret, "session_token": token}
        return {name: value for name, value in named.items() if value}

    @contextmanager
    def _request(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise S3Error(
                f"{self}/{name} cannot be {verb} ({error}): check the network, the bucket's name "
                "and what the credentials may do"
            ) from error


def _code(error: ClientError) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code
