"""How a deployment is doing, seen from outside: `drive monitor`, and `/metrics` where it is listened for.

Looking opens nothing: no pool, no channel, no import of a driver in a service that has not used it.
"""
