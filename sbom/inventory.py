"""Prints what an environment holds, as JSON: Debian's packages and Python's.

Standard library only: it is run inside each image.
"""

import json
import platform
from importlib.metadata import distributions
from pathlib import Path

STATUS = Path("/var/lib/dpkg/status")


def debian() -> list[list[str]]:
    """Return name, version and architecture of each installed package of Debian's."""
    packages = []
    for paragraph in STATUS.read_text().split("\n\n") if STATUS.exists() else ():
        fields = dict(
            line.split(": ", 1)
            for line in paragraph.splitlines()
            if ": " in line and not line.startswith(" ")
        )
        if fields.get("Status", "").endswith(" installed"):
            packages.append([fields["Package"], fields["Version"], fields["Architecture"]])
    return packages


def python() -> list[list[str]]:
    """Return name and version of each distribution that this Python finds."""
    return [[one.name, one.version] for one in distributions()]


if __name__ == "__main__":
    release = platform.freedesktop_os_release().get("VERSION_ID", "")
    print(json.dumps({"release": release, "debian": debian(), "python": python()}))
