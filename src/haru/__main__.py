"""`python -m haru` is the command `haru`."""

from haru.cli import main

if __name__ == "__main__":
    main()
