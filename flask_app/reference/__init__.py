"""How far a window is from the training data, the reference, and which distance is drift."""
