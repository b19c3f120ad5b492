"""`python -m drive`."""

from drive.cli import main

if __name__ == "__main__":
    main()
