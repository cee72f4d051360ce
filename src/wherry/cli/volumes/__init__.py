"""What is said of volumes, and of what they were."""
