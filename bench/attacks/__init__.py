"""What dishonest hospitals do, each a function: to records, to updates, to what they say as evaluators."""
