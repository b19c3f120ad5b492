"""Work that a committed transaction has asked for, and that no crash loses."""
