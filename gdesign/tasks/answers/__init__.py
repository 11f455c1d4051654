"""Reading: one way from reply to answer."""
