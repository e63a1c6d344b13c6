"""How good generated images are, as numbers."""
