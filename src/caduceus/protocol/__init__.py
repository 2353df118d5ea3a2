"""What parties say to one another, without I/O: events in, events out."""
