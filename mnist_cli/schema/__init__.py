"""The data that the other packages exchange: frozen dataclasses without tensors or code."""
