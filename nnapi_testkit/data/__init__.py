"""Data that travels with the package: `golden` is installed below this folder."""
