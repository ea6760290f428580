"""Models that a driver must refuse: what each of them breaks, and how it is made."""
