"""What is asked of a whole model: is it right, which operations does a device run, how fast."""
