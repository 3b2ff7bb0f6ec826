"""What the edge costs."""
