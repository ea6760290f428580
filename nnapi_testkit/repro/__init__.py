"""A failure as a folder: the model as text and as a batch, its data, a C file, the evidence."""
