"""Learning from updates that nobody sees, judged by their inner products (visibility GRAM)."""
