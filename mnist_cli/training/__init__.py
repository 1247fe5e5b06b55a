"""Training one network and evaluating it: tensors in, numbers out, nothing printed."""
