"""Turn 2-D and 3-D medical scans into trusted masks, and masks into a better model."""

__version__ = "0.1.0"
