"""The head of an answer leaves with its body; limits of connections: tests/integration."""

from asyncio import Transport
from typing import cast

import pytest

from flask_app.serving.worker import OneWrite

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Recorder:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sent() -> Recorder:
    return Recorder()


@pytest.fixture
def transport(sent: Recorder) -> OneWrite:
    return OneWrite(cast(Transport, sent))


def test_head_and_body_are_one_write(transport: OneWrite, sent: Recorder) -> None:
    for part in (HEAD, b"{}", HEAD, b"a", b"b"):
        transport.write(part)
    assert sent.written == [HEAD + b"{}", HEAD + b"a", b"b"]


def test_a_client_that_waits_to_go_on_is_told_at_once(transport: OneWrite, sent: Recorder) -> None:
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert sent.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_a_head_without_a_body_leaves_at_the_end(transport: OneWrite, sent: Recorder) -> None:
    transport.write(HEAD)
    assert sent.written == []
    transport.end()
    transport.end()
    assert sent.written == [HEAD]


def test_closing_sends_what_waits(transport: OneWrite, sent: Recorder) -> None:
    transport.write(HEAD)
    transport.close()
    assert (sent.written, sent.closed) == ([HEAD], True)
