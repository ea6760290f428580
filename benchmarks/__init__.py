"""Speed, measured by whole runs; nothing here is a test."""
