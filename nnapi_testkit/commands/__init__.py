"""What the commands of `nnapi-testkit` do; imported only when one is called."""
