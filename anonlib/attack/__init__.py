"""Attackers: who is still recognised after a method has anonymized the faces."""
