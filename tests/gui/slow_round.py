"""A round's process that takes as long as the test wants; run by test_rounds.py in place of the program."""

import os
import sys
from dataclasses import replace

from napari_medseg import cli
from tests.taught import BRIGHT, install

if __name__ == "__main__":
    wanted = float(os.environ["ROUND_MINUTES"])
    install(replace(BRIGHT, minutes=lambda _n: wanted))
    cli.main(sys.argv[1:])
