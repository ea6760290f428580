"""Proof of power: known faults, mutants, correct variants, and what the suite makes of them."""
