"""Finds the line on which a part of a YAML file stands, so that a problem can be reported where it is."""

from collections.abc import Sequence
from pathlib import Path

import yaml


def line_of(path: Path, location: Sequence[str | int]) -> int | None:
    """Return the 1-based line of the part at `location` (keys and list indices, outermost first).

    A part that is missing is reported at the nearest part around it. None where the file is no valid YAML.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    if node is None:
        return None
    line = node.start_mark.line
    for step in location:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return int(line) + 1


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line, value
    elif isinstance(node, yaml.SequenceNode) and str(step).isdigit() and int(step) < len(node.value):
        child = node.value[int(step)]
        return child.start_mark.line, child
    return None
