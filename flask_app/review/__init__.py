"""The review desk: people look at what is suspicious, and say what it is."""
