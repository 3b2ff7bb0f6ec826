"""S3 in this process, by moto, which can be cut or lose answers."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.endpoint import Endpoint
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from moto import mock_aws

BUCKET = "shill-tests"


@functools.cache
def session() -> boto3.session.Session:
    """One session for all tests: each reads the description of S3 anew, for a quarter second."""
    return boto3.session.Session("tests", "tests", region_name="us-east-1")


class S3:
    """A bucket, and the way to it.

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
        self.client: Any = session().client("s3")
        self.client.create_bucket(Bucket=BUCKET)
        send = Endpoint._do_get_response

        def relay(endpoint: Endpoint, request: Any, *arguments: Any) -> Any:
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

    def read(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def write(self, key: str, content: bytes, **options: Any) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, **options)

    def delete(self, prefix: str) -> None:
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


@contextmanager
def s3_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Let everything that asks S3 in this process ask an S3 in this process."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        shared = session()
        monkeypatch.setattr("boto3.session.Session", lambda: shared)
        yield S3(monkeypatch)
