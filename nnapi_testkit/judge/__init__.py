"""From Answer and Result to a verdict with margin and evidence."""
