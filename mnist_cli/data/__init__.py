"""Images with labels: found, fetched, checked and read."""
