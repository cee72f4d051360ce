"""What is said to containers: made, started, entered, listened to, looked at, changed, ended."""
