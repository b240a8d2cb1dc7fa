"""What one peer is to be sent while the link to it stands, and when it is dialled again while none does.

It must not know sockets, nor what the messages mean.
"""

import asyncio
import contextlib
from collections import deque

import msgspec

FRAME_BYTES = 4 * 1024 * 1024
"""Coalescing stops here: a longer frame would hold up the loop of the node that reads it."""


class Outgoing:
    """What waits for one peer while the link to it stands."""

    def __init__(self) -> None:
        """No link stands, and nothing waits."""
        self.connected = False
        self.closing = False
        self.queue: deque[bytes] = deque()
        self.queued_bytes = 0
        self.wake = asyncio.Event()
        self.came_back = asyncio.Event()
        """Set by each link that the peer opens: it runs, whatever dialling it came to before."""

    async def pause(self, longest_s: float) -> bool:
        """Wait before dialling again, until the peer comes back at the longest; whether it did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self.came_back.wait()
        came_back = self.came_back.is_set()
        self.came_back.clear()
        return came_back

    def clear(self) -> None:
        """Forget what waits."""
        self.queue.clear()
        self.queued_bytes = 0

    def take_frame(self) -> bytes:
        """The oldest messages, up to FRAME_BYTES of them and at least one, as one array."""
        taken = [self.queue.popleft()]
        size_bytes = len(taken[0])
        while self.queue and size_bytes + len(self.queue[0]) <= FRAME_BYTES:
            taken.append(self.queue.popleft())
            size_bytes += len(taken[-1])
        self.queued_bytes -= size_bytes
        return msgspec.msgpack.encode([msgspec.Raw(message) for message in taken])
