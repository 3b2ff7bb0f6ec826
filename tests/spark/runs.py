"""Runs `score` several times in Spark's environment: `python runs.py ARGUMENTS...`.

Each argument is the JSON of one run's arguments; each run's status and errors are printed as JSON.
One process, because to start Spark takes longer than to score a small site.
"""

import contextlib
import io
import json
import sys

from flask_app.cli import main

for argument in sys.argv[1:]:
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()) as printed:
        status = main(["score", "--engine=spark", *json.loads(argument)])
    print(json.dumps([status, printed.getvalue(), errors.getvalue()]), flush=True)
