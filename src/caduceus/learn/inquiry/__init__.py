"""Questions about many data sets at once, answered by one noisy sum."""
