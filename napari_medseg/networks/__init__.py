"""Tensors in, tensors out: everything with a forward."""

import os

from napari_medseg.networks._late import start_late

# Read once, when torch starts its threads: two spinning processes on two cores slow each other twenty-fold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

start_late("segment_anything")
