"""Networks, the article's and custom ones: find by name, build, count, export."""
