"""Plain data that the other rooms hand each other: frozen dataclasses without tensors or code."""
