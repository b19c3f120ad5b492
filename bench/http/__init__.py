"""What clients of Drive wait for, against what else there is."""
