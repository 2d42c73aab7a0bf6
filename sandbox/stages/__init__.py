"""The pipeline, one module to a stage: open, preprocess, encode, select, reduce, project, prompt, merge, generate.

Every border between stages is numpy, on the CPU. `accept` in each module checks what a function in the stage's place
returned.
"""
