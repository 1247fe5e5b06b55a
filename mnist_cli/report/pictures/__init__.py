"""Images and plots, in the terminal and in files."""
