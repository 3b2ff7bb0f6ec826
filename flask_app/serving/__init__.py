"""The model server: API, metrics, prediction log, hot reload."""
