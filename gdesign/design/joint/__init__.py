"""Our own method: what every design would score and cost on a question."""
