"""The schema, version by version. Run by the app at start (`Store.migrate`)."""
