"""From an auction site's auctions and bids to records.

tables (the contract) -> reading (files into a database, checked) -> features (records, as SQL)
"""
