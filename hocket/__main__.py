"""`python -m hocket` is the command `hocket`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it in one line, also while it is still being loaded."""
    try:
        from hocket.cli import main as run

        run()
    except KeyboardInterrupt:
        print("hocket: stopped", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
