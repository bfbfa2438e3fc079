"""From all files of a repository to those that a person wants, and the words for the rest."""

from torchinf_hf.choosing.choice import Choice, choose
from torchinf_hf.choosing.wish import OPTIONS, Wish, read_wish

__all__ = ["OPTIONS", "Choice", "Wish", "choose", "read_wish"]
