"""How hypothesis draws: the same examples every time, no clock, and nothing left in the working folder."""

from hypothesis import settings

settings.register_profile("medseg", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("medseg")
