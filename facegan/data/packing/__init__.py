"""From a source's pictures to a packed store."""
