"""Make `python -m napari_medseg` the same program as `medseg`."""

from napari_medseg.cli import main

if __name__ == "__main__":
    main()
