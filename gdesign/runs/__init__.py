"""The run folder: config, checkpoint, log, metrics, money."""
