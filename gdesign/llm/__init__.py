"""Everything that answers a Request with a Reply."""
