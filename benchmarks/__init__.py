"""Commands that measure what the README states."""
