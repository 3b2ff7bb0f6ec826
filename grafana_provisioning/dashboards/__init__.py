"""The dashboards, each a module beside the JSON that is generated from it."""
