"""Trains and evaluates one network: tensors in, numbers out, nothing printed."""
