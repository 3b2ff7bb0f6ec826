#!/usr/bin/python
"""Ansible module: leaves a host with the files and directories of a list, in one run.

`ansible.builtin.copy` takes two runs for each file, `ansible.builtin.file` one: about 0.7 s a file.
Roles that write many files give them to this module. Nothing is written before all files with a
`validate` are accepted.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: files
short_description: Leave a host with files and directories
description:
  - Writes all files and makes all directories of a list in one run.
  - Works in check mode where the directories of files do not exist yet.
options:
  files:
    description: >-
      What there must be, in this order. With force false, a file that exists keeps its content.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      state: {description: What it is., type: str, choices: [file, directory], default: file}
      content: {description: The whole content of a file., type: str, default: ""}
      mode: {description: Octal mode., type: str, required: true}
      owner: {description: User or id., type: str, default: root}
      group: {description: Group or id., type: str, default: root}
      force: {description: Whether a file that exists gets the content., type: bool, default: true}
      validate: {description: Command that must accept a new content in the file %s., type: str}
  purge:
    description: Directories in which files that the list does not name are removed.
    type: list
    elements: path
    default: []
author: the project
"""
RETURN = """
paths:
  description: What has changed.
  type: list
  returned: always
"""

ARGUMENTS: dict[str, Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["file", "directory"], "default": "file"},
            "content": {"type": "str", "default": ""},
            "mode": {"type": "str", "required": True},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "force": {"type": "bool", "default": True},
            "validate": {"type": "str"},
        },
    },
    "purge": {"type": "list", "elements": "path", "default": []},
}


def read(path: Path) -> str | None:
    """The content of a file; None if there is none."""
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        return None


def differs(entry: dict[str, Any]) -> bool:
    """Whether a file lacks its content."""
    present = read(Path(entry["path"]))
    return present is None or (entry["force"] and present != entry["content"])


def validate(module: AnsibleModule, entry: dict[str, Any]) -> None:
    """Have a program check a new content; fails with what it said when it refuses."""
    with tempfile.NamedTemporaryFile("w", dir=module.tmpdir, errors="surrogateescape") as draft:
        draft.write(entry["content"])
        draft.flush()
        status, out, err = module.run_command(entry["validate"] % draft.name)
    if status:
        module.fail_json(
            msg=f"{entry['path']}: `{entry['validate']}` refuses the new content, so no file of "
            "the list was written: correct what it says",
            rc=status,
            stdout=out,
            stderr=err,
        )


def attributes(module: AnsibleModule, entry: dict[str, Any], path: Path) -> dict[str, Any]:
    """Owner, group and mode of an entry, for a path, as the methods of AnsibleModule take them."""
    wanted = {name: entry[name] for name in ("mode", "owner", "group")}
    found: dict[str, Any] = module.load_file_common_arguments({"path": str(path), **wanted})
    return found


def write(module: AnsibleModule, entry: dict[str, Any]) -> None:
    """Put a file with its final owner and mode in its place at once."""
    path = Path(entry["path"])
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".ansible-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(entry["content"].encode(errors="surrogateescape"))
        module.set_fs_attributes_if_different(attributes(module, entry, Path(part)), True)
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)


def lay_out(module: AnsibleModule, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Make one entry so; returns the differences that there were."""
    path = Path(entry["path"])
    differences = []
    if entry["state"] == "directory":
        if path.exists() and not path.is_dir():
            module.fail_json(msg=f"{path} is a file, where a directory is wanted: remove it")
        if not path.exists():
            differences.append({"after_header": str(path), "before": "", "after": "directory\n"})
            if not module.check_mode:
                path.mkdir()
    elif differs(entry):
        headers = {"before_header": str(path), "after_header": str(path)}
        differences.append(headers | {"before": read(path) or "", "after": entry["content"]})
        if not module.check_mode:
            write(module, entry)
    if path.exists():
        difference: dict[str, Any] = {}
        if module.set_fs_attributes_if_different(
            attributes(module, entry, path), False, difference
        ):
            differences.append({"before_header": str(path), **difference})
    return differences


def main() -> None:
    """Run the module."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    files = [entry for entry in module.params["files"] if entry["state"] == "file"]
    for entry in files:
        entry["content"] = entry["content"] or ""  # Ansible makes null of an empty template
        if Path(entry["path"]).is_dir():
            module.fail_json(
                msg=f"{entry['path']} is a directory, where a file is wanted: remove it"
            )
    if not module.check_mode:
        for entry in files:
            if entry["validate"] and differs(entry):
                validate(module, entry)

    changed: dict[str, list[dict[str, Any]]] = {}
    for entry in module.params["files"]:
        if differences := lay_out(module, entry):
            changed[entry["path"]] = differences
    wanted = {entry["path"] for entry in module.params["files"]}
    for directory in map(Path, module.params["purge"]):
        for path in sorted(directory.iterdir()) if directory.is_dir() else []:
            if str(path) not in wanted and not path.is_dir():
                headers = {"before_header": str(path), "after_header": "/dev/null"}
                changed[str(path)] = [headers | {"before": read(path), "after": ""}]
                if not module.check_mode:
                    path.unlink()
    module.exit_json(
        changed=bool(changed),
        paths=list(changed),
        diff=[difference for each in changed.values() for difference in each],
    )


if __name__ == "__main__":
    main()
