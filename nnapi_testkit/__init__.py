"""nnapi-testkit: does an NNAPI driver compute what the Neural Networks API promises?

Importing the package does nothing and costs nothing; the rooms below it are described in
`docs/architecture.md`.
"""

__version__ = "0.1.0"
