"""Ledgers: what is put is found, exactly, by those who ask for the same; whatever the database."""
