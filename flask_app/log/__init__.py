"""The prediction log: append-only segments of JSON lines, one writer a process.

    <directory>/dt=2026-11-23/<UUIDv7>.<schema>.jsonl           predictions
    <directory>/labels/dt=2026-11-23/<UUIDv7>.<schema>.jsonl    labels

The schema is the record's, `flask_app.record.SCHEMA_ID`. Segments of other schemas stay readable:
what they lack is absent, what this release does not know is passed over.

A segment belongs to the process that opened it. Its writer holds an advisory lock (`flock`) on it
until it is complete and on disk, so anyone can tell an open segment from a closed one, and a
killed writer's segment counts as closed at once.
"""
