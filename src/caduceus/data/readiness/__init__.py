"""Whether a data set is fit to be lent: rules, findings, and the report that a steward signs."""
