"""`python -m polydx`."""

from polydx.cli import main

if __name__ == "__main__":
    main()
