"""Corrections or data sets in, weights out."""
