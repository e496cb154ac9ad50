"""The golden model: networks, their files, their weights and their exact results, in NumPy."""
