"""Turn 2-D and 3-D medical scans into trusted masks, and masks into a better model."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("napari-medseg")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
