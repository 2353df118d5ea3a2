"""The canonical clinical table, what a data set says of itself, and on which terms it may be used."""
