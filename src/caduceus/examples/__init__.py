"""Federations, schemas and jobs that come with the package; no data are among them."""
