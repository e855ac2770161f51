"""What things are: plain values over numpy and scipy, knowing no file, no screen and no network."""
