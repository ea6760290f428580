"""Metamorphic pairs: two models that must agree, whatever the right values are."""
