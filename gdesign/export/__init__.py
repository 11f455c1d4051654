"""Designs in the formats of other programs."""
