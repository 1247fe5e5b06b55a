"""Results on standard output and in files: for a person, and for a script."""
