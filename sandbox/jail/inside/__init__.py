"""What runs on the far side of the border, in processes that hold no secret of the host.

Started by path with an empty environment, these modules import nothing of the project but each other, so that neither
the host's code nor its settings are ever in the memory of a process that runs a candidate's code. `wire` is shared with
the host.
"""
