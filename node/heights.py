"""Who wants to hear of heights: listeners of every one that is reached, and those who wait for one.

It must not know blocks.
"""

from collections.abc import Callable


class Heights:
    """The audience of the executed height, or of the certified one."""

    def __init__(self) -> None:
        """Nobody listens."""
        self._listeners: list[Callable[[int], None]] = []
        self._waiting: list[tuple[int, Callable[[], None]]] = []

    def listen(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with every height from now on."""
        self._listeners.append(listener)

    def wait(self, height: int, done: Callable[[], None]) -> None:
        """Call `done` once `height`, which isn't reached yet, is."""
        self._waiting.append((height, done))

    def reached(self, height: int) -> None:
        """This height is reached, and all below it."""
        for listener in self._listeners:
            listener(height)
        ready = [done for waited, done in self._waiting if waited <= height]
        if ready:
            self._waiting = [item for item in self._waiting if item[0] > height]
            for done in ready:
                done()
