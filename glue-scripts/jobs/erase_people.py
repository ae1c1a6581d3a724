"""People who ask to be forgotten go from landing and quarantine; at the end it is proven that nothing of them is left."""

from lakehouse.erasure import main

if __name__ == "__main__":
    main()
