"""How large batches should be, learnt from what calls cost.

On a processor many models get little cheaper by more rows in a call, and then a large
batch only makes everybody wait for everybody.
"""

from __future__ import annotations

LONGEST = 0.25
"""Seconds that a call may take for the sake of more items in it."""
GAIN = 0.97
"""A larger batch must cost no more than this part of the smaller one's price a row."""
TRIES = 3
FALLS, RISES = 0.5, 0.1
"""How much of a difference counts at once."""
AGAIN = 64
"""Full batches after which another size is tried again."""


class Pace:
    """How many rows one call should take: more only while each gets cheaper by it.

    Args:
        most: rows that the operator allows.
    """

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self._cost: dict[int, float] = {}
        self._tries: dict[int, int] = {}
        self._calls = 0
        self._sizes = [1 << i for i in range(self.most.bit_length()) if 1 << i < self.most]
        self._sizes.append(self.most)

    def rows(self) -> int:
        """Rows for the next call, where enough of them wait."""
        self._calls += 1
        best = 1
        for size in self._sizes:
            if self._too_long(size):
                break
            if self._tries.get(size, 0) < TRIES and size > 1:
                return size
            cheapest = self._cost.get(best)
            cost = self._cost.get(size)
            if cost is not None and (cheapest is None or cost <= cheapest * GAIN):
                best = size
        if self._calls % AGAIN == 0:
            place = self._sizes.index(best)
            near = self._sizes[min(place + 1, len(self._sizes) - 1)]
            return best if self._too_long(near) else near
        return best

    def learn(self, rows: int, seconds: float) -> None:
        """Remember what a call cost; a slow one is mostly somebody else's fault."""
        size = next((s for s in reversed(self._sizes) if s <= rows), 1)
        cost, before = seconds / rows, self._cost.get(size)
        if before is None:
            self._cost[size] = cost
        else:
            self._cost[size] = before + (FALLS if cost < before else RISES) * (cost - before)
        self._tries[size] = self._tries.get(size, 0) + 1

    def seconds(self, rows: int) -> float:
        """How long so many rows will about take, one call after the other."""
        return rows * min(self._cost.values(), default=0.01)

    def _too_long(self, size: int) -> bool:
        if size == 1:
            return False
        known = self._cost.get(size)
        if known is None:
            smaller = [s for s in self._cost if s < size]
            if not smaller:
                return False
            known = self._cost[max(smaller)]
        return known * size > LONGEST
