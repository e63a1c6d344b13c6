"""Lightning glue around the pure modules: what happens beside the training itself."""
