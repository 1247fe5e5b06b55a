"""Networks: the article's and a user's own, by name; making them and counting what they cost."""
