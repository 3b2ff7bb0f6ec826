"""A bucket on this machine, for hosts that the tests provision, and a way to it that can be cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from tests.moto_server import moto_server
from tests.wire import Wire


class Bucket:
    """A bucket, and how hosts get there.

    Attributes:
        wire: Their way to it.
        environment: What boto3 has to know to take that way.
        client: Asks it by another way.
    """

    name = "shill"

    def __init__(self, server: str) -> None:
        self.wire = Wire(server)
        self.environment = {
            "AWS_ENDPOINT_URL": self.wire.url,
            "AWS_REGION": "us-east-1",
            # There is no instance with a role here; moto takes any credentials.
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
        }
        session = boto3.session.Session("tests", "tests", region_name="us-east-1")
        self.client: Any = session.client("s3", endpoint_url=server)
        self.client.create_bucket(Bucket=self.name)

    def objects(self) -> dict[str, str]:
        """Return when each object was written, by key."""
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", ())
        return {item["Key"]: f"{item['LastModified']} {item['ETag']}" for item in found}

    def read(self, key: str) -> bytes:
        """Return an object's content."""
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content


@contextmanager
def bucket(address: str) -> Iterator[Bucket]:
    """Run S3 with an empty bucket at one of this machine's addresses."""
    with moto_server(address) as server:
        yield Bucket(server)
