"""Images with labels: find, download, check and read them."""
