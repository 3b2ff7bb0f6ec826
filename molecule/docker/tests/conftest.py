"""What the tests of the role share: a tiny image."""

from collections.abc import Iterator

import pytest
from testinfra.host import Host


@pytest.fixture(scope="module")
def image(host: Host) -> Iterator[str]:
    """An image with a shell and `sleep`, made of the host's own."""
    name = "tiny"
    host.check_output(
        "programs='/bin/sh /bin/sleep'; "
        "tar --create --dereference --absolute-names "
        "$programs $(ldd $programs | grep --only-matching '/lib[^ ]*' | sort --unique) | "
        f"docker import - {name}"
    )
    yield name
    host.check_output("docker rm --force $(docker ps --all --quiet) && docker rmi %s", name)
