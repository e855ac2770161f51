"""The command line with a recipe that takes no time; run by test_detached.py as a round's process."""

import sys

from napari_medseg import cli
from tests.taught import install

if __name__ == "__main__":
    install()
    cli.main(sys.argv[1:])
