"""Persons, their memory, and the services that answer for them. Start reading at models.py."""
