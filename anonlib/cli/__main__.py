"""`python -m anonlib.cli`."""

from anonlib.cli import main

main()
