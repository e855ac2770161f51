"""Tensors in, tensors out: everything with a forward."""
