"""A comparison as an HTML page."""

GENERATOR = '<meta name="generator" content="mnist-cli">'
