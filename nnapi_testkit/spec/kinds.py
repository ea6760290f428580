"""The kinds of outputs: how the elements of one are judged."""

from enum import Enum

__all__ = ["OutputKind"]


class OutputKind(str, Enum):
    """How the elements of an output are judged. Its word is that of goldens and saved cases."""

    EACH = ""  # each by itself
    ROWS = "rows"  # as rows (along dimension 0) in any order, with the other outputs of this kind
    GROUPS = "groups"  # each by itself; rows change places only where this output repeats a value
    TRUTH = "truth"  # by being zero or not
    DRAWS = "draws"  # as independent draws along the last dimension, by the share of each class
