"""What is sent into the sandbox."""
