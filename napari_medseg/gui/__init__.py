"""The panel in napari; the only room that speaks Qt."""
