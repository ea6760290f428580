"""Small models as phones run them, each a script: `python -m examples.segmentation`.

Weights come from a seed and nothing is downloaded. What each shows stands in docs/models.md.
"""
