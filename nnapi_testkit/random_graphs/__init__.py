"""Random graphs: grown by the reference, judged one operation at a time, cut where they fail."""
