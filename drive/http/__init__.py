"""What HTTP asks of every route: parameters, names, ranges, and errors in one shape."""
