"""What earlier builds have made, by what their steps saw, here and elsewhere."""
