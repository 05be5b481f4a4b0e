"""What diagrams mean and how they run."""
