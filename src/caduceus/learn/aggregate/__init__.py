"""How updates become one: robust rules, most of them as functions of the matrix of inner products alone."""
