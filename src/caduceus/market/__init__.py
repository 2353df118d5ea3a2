"""The job's stages as a table, and whole-unit money."""
