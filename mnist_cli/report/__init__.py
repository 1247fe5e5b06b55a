"""Results as text, tables, files and pictures."""
