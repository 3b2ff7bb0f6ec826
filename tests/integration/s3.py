"""S3 as a process of its own, by moto, behind a wire that can be cut."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest

from tests.moto_server import moto_server
from tests.wire import Wire

BUCKET = "shill-tests"
URL = f"s3://{BUCKET}"


@contextmanager
def s3_elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Run S3 with an empty bucket, and let this process and those it starts ask it by a wire."""
    with moto_server() as server:
        wire = Wire(server)
        for name, value in {
            "AWS_ENDPOINT_URL": wire.url,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        boto3.session.Session().client("s3").create_bucket(Bucket=BUCKET)
        yield wire
        wire.refuse()
