"""The engine: plan, batch, execute, judge, record.

`plugin.py` and `cli.py` are thin layers over this room. `Session.run` turns case references into
records; `Ledger` keeps the accounts of a run (waivers, floors, counts).
"""
