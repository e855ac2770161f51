"""Tensors in, tensors out: everything with a forward."""

import os

# Read once, when torch starts its threads: two spinning processes on two cores slow each other twenty-fold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
