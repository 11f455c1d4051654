"""Where programs that models write are run."""
