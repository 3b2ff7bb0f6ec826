"""What happens to the lab is done to it on purpose, while clients ask: `python -m drill`."""
