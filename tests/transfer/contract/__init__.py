"""What every engine owes: the same suite over each, before real git servers and a proxy that spoils what passes."""
