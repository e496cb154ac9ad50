"""The host's end of the link: runs networks on a board."""
