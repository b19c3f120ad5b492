"""What has to be done by itself, at an interval: see `drive.containers` for when."""
