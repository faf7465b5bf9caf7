"""How many parameters a model has, split the way scaling laws need them split."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    embedding: int
    """Rows that are looked up, not multiplied: the token (and position) embedding."""
    non_embedding: int
    """Everything between the embedding and the head."""
    head: int
    """The projection to the vocabulary."""

    @property
    def n_params(self) -> int:
        """The count that names a size and that laws are fitted to: the parameters applied to every
        token. Kaplan et al. (2020) leave the head out, Hoffmann et al. (2022) count the embedding
        as well; at small sizes the choice bends the exponent (Pearce & Song 2024), so all
        three parts are recorded."""
        return self.non_embedding + self.head

    def record(self) -> dict[str, int]:
        return {
            "n_params": self.n_params,
            "n_params_embedding": self.embedding,
            "n_params_non_embedding": self.non_embedding,
            "n_params_head": self.head,
        }
