"""What several subjects need: the servers around Drive, Drive as processes, and looks at processes from outside."""
