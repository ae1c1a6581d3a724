"""The script of every job: makes the table that --table names, as its contract says."""

from lakehouse.jobs import main

if __name__ == "__main__":
    main()
