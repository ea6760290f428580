"""Frozen answers, one container per operation. Written by `nnapi-testkit golden update` only."""
