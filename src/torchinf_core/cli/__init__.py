"""The ``torchinf`` command.  Empty on purpose: the fast path imports this package."""
