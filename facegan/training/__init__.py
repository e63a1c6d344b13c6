"""Everything around trainer.fit."""
