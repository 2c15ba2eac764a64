"""`anonlib audit`: all attackers on one method, and a report of what they reach.

The files:

    request         what the command is asked for
    pictures        real people: whom the attackers train on, and whom they attack
    measure         the audit itself
    record, report  what is written: JSON and one HTML page
"""
