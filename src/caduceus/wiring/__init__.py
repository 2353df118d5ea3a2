"""Where everything is put together: which edges serve which agents."""
