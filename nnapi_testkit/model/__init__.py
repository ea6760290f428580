"""The model as data, its builder, the wire format, and the leaf types of a run."""
