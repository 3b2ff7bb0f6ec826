"""Commands of `python -m flask_app`, one module each."""
