"""A tagger: a class for each word, by a recurrent layer that reads both ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from examples.common import Example, main


class Tagger(nn.Module):
    """A class for each word of a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 12)
        self.lstm = nn.LSTM(12, 8, num_layers=2, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(16, 5)

    def forward(self, sentence: torch.Tensor) -> torch.Tensor:
        """Words (N, length) to the logarithm of each tag's probability, (N, length, 5)."""
        found, _ = self.lstm(self.words(sentence))
        return F.log_softmax(self.tags(found), -1)


EXAMPLE = Example("LSTM tagger", lambda: (Tagger(), [torch.randint(0, 50, (2, 7))]))


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
