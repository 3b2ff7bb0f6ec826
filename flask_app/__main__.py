"""Entry point of `python -m flask_app`."""

import sys

from flask_app.cli import main

sys.exit(main())
