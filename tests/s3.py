"""S3 with one bucket, by moto: in this process, or in one of its own; either can be cut off."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.endpoint import Endpoint
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from moto import mock_aws

from tests.moto_server import moto_server
from tests.wire import Wire

BUCKET = "shill-tests"


@functools.cache
def session() -> boto3.session.Session:
    """One session for all tests: each reads the description of S3 anew, for a quarter second."""
    return boto3.session.Session("tests", "tests", region_name="us-east-1")


class Bucket:
    """A bucket, empty at first.

    Attributes:
        client: What asks for it here.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.client.create_bucket(Bucket=BUCKET)

    def read(self, key: str) -> bytes:
        """Return an object's content."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def write(self, key: str, content: bytes, **options: Any) -> None:
        """Write an object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, **options)

    def delete(self, prefix: str) -> None:
        """Delete the objects whose keys begin so."""
        for key in self.objects(prefix):
            self.client.delete_object(Bucket=BUCKET, Key=key)

    def objects(self, prefix: str = "") -> dict[str, str]:
        """Return when each object was written, by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {
            item["Key"]: f"{item['LastModified']} {item['ETag']}"
            for page in pages
            for item in page.get("Contents", ())
        }


class S3(Bucket):
    """A bucket in this process, and the way to it.

    Attributes:
        requests: How many were sent so far.
        cut: Whether none gets there any more.
        answers_to_lose: Numbers of the requests that are carried out and never answered.
        last: Number of the request after which the sender dies; 0: it lives.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests = 0
        self.cut = False
        self.answers_to_lose: set[int] = set()
        self.last = 0
        super().__init__(session().client("s3"))
        send = Endpoint._do_get_response
        # moto is not safe between threads: an object that is written closes what another thread
        # reads it from. S3 itself does one thing after the other with an object, too.
        one_at_a_time = threading.Lock()

        def relay(endpoint: Endpoint, request: Any, *arguments: Any) -> Any:
            with one_at_a_time:
                return answer_to(endpoint, request, *arguments)

        def answer_to(endpoint: Endpoint, request: Any, *arguments: Any) -> Any:
            if self.last and self.requests == self.last:
                raise SystemExit("killed")
            self.requests += 1
            if self.cut:
                return None, EndpointConnectionError(endpoint_url=request.url)
            answer = send(endpoint, request, *arguments)
            if self.requests in self.answers_to_lose:
                return None, ConnectionClosedError(endpoint_url=request.url)
            return answer

        monkeypatch.setattr(Endpoint, "_do_get_response", relay)
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)


class DistantS3(Bucket):
    """A bucket in another process, and how others get there.

    Attributes:
        wire: Their way to it.
        environment: What boto3 has to know to take that way.
    """

    def __init__(self, server: str) -> None:
        super().__init__(session().client("s3", endpoint_url=server))
        self.wire = Wire(server)
        self.environment = {
            "AWS_ENDPOINT_URL": self.wire.url,
            "AWS_REGION": "us-east-1",
            # There is no instance with a role here; moto takes any credentials. Ansible blots the
            # secret out of whatever its modules return, so no name may have it within.
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "any-secret-will-do",
        }


@contextmanager
def s3_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Let everything that asks S3 in this process ask an S3 in this process."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        shared = session()
        monkeypatch.setattr("boto3.session.Session", lambda: shared)
        yield S3(monkeypatch)


@contextmanager
def s3_elsewhere(address: str = "127.0.0.1") -> Iterator[DistantS3]:
    """Run an S3 as a process of its own, at one of this machine's addresses."""
    with moto_server(address) as server:
        yield DistantS3(server)
