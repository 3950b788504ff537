"""Who wrote, read and deleted each key, and what was unusual."""
