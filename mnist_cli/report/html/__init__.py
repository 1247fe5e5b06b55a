"""A comparison as a page to look at."""

GENERATOR = '<meta name="generator" content="mnist-cli">'
