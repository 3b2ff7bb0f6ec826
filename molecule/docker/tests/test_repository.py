"""Docker's own repository, stood in for by one that the test signs: its one package is empty."""

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from testinfra.host import Host

Converge = Callable[..., CompletedProcess[str]]

URL = "file:///srv/docker"
MAKE_REPOSITORY = r"""
set -e
apt-get install --quiet=2 --yes --no-install-recommends gpg gpg-agent
export GNUPGHOME=$(mktemp --directory)
gpg --batch --quiet --passphrase '' --quick-generate-key test ed25519 sign never

. /etc/os-release
architecture=$(dpkg --print-architecture)
lists=dists/$VERSION_CODENAME
packages=stable/binary-$architecture/Packages
mkdir -p /srv/docker/pool /srv/docker/$lists/${packages%/*}
cd /srv/docker
gpg --armor --export >gpg
build=$(mktemp --directory)
chmod 755 $build
mkdir $build/DEBIAN
printf '%s\n' 'Package: stand-in' 'Version: 1' 'Architecture: all' 'Maintainer: test' \
    'Description: empty' >$build/DEBIAN/control
dpkg-deb --build $build pool/stand-in.deb
{
    cat $build/DEBIAN/control
    echo 'Filename: pool/stand-in.deb'
    echo "Size: $(stat --format %s pool/stand-in.deb)"
    echo "SHA256: $(sha256sum pool/stand-in.deb | cut --delimiter ' ' --fields 1)"
} >$lists/$packages
cd $lists
digest=$(sha256sum $packages | cut --delimiter ' ' --fields 1)
printf '%s\n' "Suite: $VERSION_CODENAME" "Codename: $VERSION_CODENAME" 'Components: stable' \
    "Architectures: $architecture" 'SHA256:' " $digest $(stat --format %s $packages) $packages" |
    gpg --clearsign >InRelease
gpg --list-keys --with-colons | sed --quiet 's/^fpr:*\([0-9A-F]*\):/\1/p'
"""


@pytest.fixture(scope="module")
def fingerprint(host: Host) -> str:
    """A repository at URL, by the fingerprint of the key that signs it."""
    return host.check_output("bash -c %s", MAKE_REPOSITORY).split()[-1]


@pytest.mark.usefixtures("fingerprint")
def test_a_repository_that_another_key_signs_is_refused(host: Host, converge: Converge) -> None:
    done = converge(
        "--tags=docker:install", docker_package_source="docker", docker_repository_url=URL
    )

    assert done.returncode != 0
    assert "but docker_repository_key_fingerprint is 9DC858229FC7DD" in done.stdout
    assert not host.file("/etc/apt/keyrings/docker.asc").exists
    assert not host.file("/etc/apt/sources.list.d/docker.sources").exists


def test_packages_come_from_the_repository_that_the_pinned_key_signs(
    host: Host, converge: Converge, fingerprint: str
) -> None:
    options = {
        "docker_package_source": "docker",
        "docker_repository_url": URL,
        "docker_repository_key_fingerprint": fingerprint,
        # By their real names, empty packages would push Debian's engine off the host.
        "_docker_packages": {
            "debian": {"12": [], "13": []},
            "docker": {"12": ["stand-in"], "13": ["stand-in"]},
        },
    }

    first = converge("--tags=docker:install", **options)
    second = converge("--tags=docker:install", **options)

    assert first.returncode == 0, first.stdout
    assert host.package("stand-in").version == "1"
    assert "changed=0 " in second.stdout
