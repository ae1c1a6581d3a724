"""What the five jobs share: contracts, landing reader, gates, publishing, ledger.

SQL carries the rules; this package only moves data. It is shipped as one zip together with contracts.json and the SQL.
"""
