"""What a version may be made of: serving's own decision, before MLflow opens any of its files as a model.

What a version claims is only used against it: its MLmodel says which of MLflow's loaders would run and on which file,
and that is allowed or refused; the types it asks to be trusted are not looked at.
"""
