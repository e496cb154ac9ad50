"""Synthesis, place and route: what an engine, or a block of it, takes of a part."""
