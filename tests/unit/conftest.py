from collections.abc import Iterator

import pytest

from tests.s3 import S3, s3_here


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """S3 in this process."""
    with s3_here(monkeypatch) as s3:
        yield s3
