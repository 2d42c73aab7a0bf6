"""The labs: experiments on the engine, each a module that knows nothing of pages."""
