"""What is said of networks: made and joined, drawn, tried, listened to."""
