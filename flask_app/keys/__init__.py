"""Who may ask the API: keys, hashed at rest, and the check that every request pays for."""
