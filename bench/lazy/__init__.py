"""What `drive.lazy` costs, beside what it stands on and what else there is."""
