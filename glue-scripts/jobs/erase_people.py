"""People who asked to be forgotten: out of everything that is kept, and the proof of it."""

from lakehouse.erasure import main

if __name__ == "__main__":
    main()
