"""Learned methods of the literature, a file each."""
