"""What the operating system provides: signals, standard streams, files."""
