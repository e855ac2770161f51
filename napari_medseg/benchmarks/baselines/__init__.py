"""Rivals that are trained: what a person could use instead."""
