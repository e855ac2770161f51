"""The harness and the published tables."""
