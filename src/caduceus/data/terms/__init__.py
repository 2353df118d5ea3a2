"""The terms of a data set as a steward writes them down."""
