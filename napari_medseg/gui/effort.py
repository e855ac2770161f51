"""How much work a case is: seconds at it and clicks, counted on this machine only."""

from __future__ import annotations

import time

_AWAY = 60.0  # seconds without an act after which nobody is thought to sit there


class Effort:
    """Seconds and clicks since the last time they were taken."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._seconds = 0.0
        self._clicks = 0

    def click(self) -> None:
        """Count an act and the time since the one before, unless nobody was there."""
        now = time.monotonic()
        self._seconds += min(now - self._last, _AWAY)
        self._last = now
        self._clicks += 1

    def take(self) -> tuple[float, int]:
        """Seconds and clicks so far; counting begins anew."""
        self.click()
        taken = self._seconds, self._clicks - 1
        self._seconds, self._clicks = 0.0, 0
        return taken
