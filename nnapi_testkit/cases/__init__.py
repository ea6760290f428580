"""Which cases an operation gets, and how each is built."""
