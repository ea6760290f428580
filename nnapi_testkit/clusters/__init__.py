"""Failures grouped by what they share: from many failing records to few causes in words."""
