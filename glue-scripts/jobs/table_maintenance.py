"""Every Iceberg table: old versions, forgotten files and old quarantined rows go for good."""

from lakehouse.maintenance import main

if __name__ == "__main__":
    main()
