"""The options of a separator, from its dataclass: the directive `separator-options`."""

import dataclasses
from typing import Any

from command_pages import escaped
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from nmfaudio.cli.separators import _type_in_words
from nmfaudio.pipeline.registry import find


def default_in_words(option: Any) -> str:
    """Return a sentence with the default of an option."""
    if option.default is dataclasses.MISSING:
        return "This option is required."
    if option.default in (None, (), ""):
        return ""
    return f"Default: `{option.default}`."


def entry(option: Any) -> str:
    """Return the description of an option: name in Python, flag, kind of value, meaning, limits."""
    flag = option.rules.flag or option.name.replace("_", "-")
    help_text = escaped(option.help[:1].upper() + option.help[1:])
    limits = option.rules.described()
    parts = [f"{help_text}.", f"It must be {limits}." if limits.strip() else "", default_in_words(option)]
    kind = escaped(_type_in_words(option.type))
    return f"`{option.name}`, `--{flag}` *{kind}*\n: {' '.join(filter(None, parts))}\n"


class SeparatorOptions(SphinxDirective):
    """A list of the options of one separator, which the argument names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the list, and what the separator needs to know of the recording."""
        separator = find(self.arguments[0])
        return self.parse_text_to_nodes("\n".join(map(entry, separator.options.values())))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("separator-options", SeparatorOptions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
