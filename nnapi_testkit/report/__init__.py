"""Records to terminal, JSONL, JUnit, HTML, coverage matrix and differences.

Nothing here needs numpy, torch or a driver: a report can be rendered again anywhere.
"""
