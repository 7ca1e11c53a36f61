"""What `--stage` selects: whole stages, or single steps of the story."""

from __future__ import annotations

from dataclasses import dataclass

from firstlight.checklist.criterion import CriterionInfo
from firstlight.checklist.story import Step


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of the checklist: the words of `--stage`, separated by commas; empty selects all.

    A word is a step (`wait-crds`), a stage's name (`talos`), its number (`10`) or both
    (`10-talos`). A step's name wins over a stage's, as for `crds`.
    """

    text: str = ""

    def __bool__(self) -> bool:
        """Report whether only a part was asked for."""
        return bool(self.text)

    def selects(self, info: CriterionInfo) -> bool:
        """Report whether a criterion belongs to the selection."""
        return not self.text or any(_selects(word, info) for word in self.text.split(","))

    @staticmethod
    def words(infos: list[CriterionInfo]) -> list[str]:
        """Return every word that selects something, for the error that lists them."""
        return sorted({info.stage.word for info in infos} | set(Step))


def _selects(word: str, info: CriterionInfo) -> bool:
    step = next((step for step in Step if step == word), None)
    if step is not None:
        return step in info.steps or info.stage in step.stages
    return word in (info.stage, info.stage.partition("-")[0], info.stage.word)
