"""What became of the mutants of a seed: a file of JSON lines, and the report.

The first line has a digest of the sources, and how long each suite took without a mutant, with a digest of
its tests; each other line has one mutant. A run that was stopped continues from there. Other sources have
other places: then it begins again.
"""

import json
from collections import Counter
from pathlib import Path

KILLED, SURVIVED, NO_MUTANT = 'killed', 'survived', 'no mutant'


class Results:
  def __init__(self, path: Path, sources: str):
    self.path = path
    self.sources = sources
    self.suites: dict[str, dict] = {}  # by title: their digest and seconds
    self.mutants: dict[str, dict] = {}  # by the key of the place
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if lines and lines[0]['sources'] == sources:
      self.suites = lines[0]['suites']
      self.mutants = {line['place']: line for line in lines[1:]}

  def add(self, place: str, judged: dict):
    self.mutants[place] = {'place': place, **judged}
    self.save()

  def save(self):
    lines = [{'sources': self.sources, 'suites': self.suites}, *self.mutants.values()]
    unfinished = self.path.with_suffix('.new')
    unfinished.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    unfinished.replace(self.path)

  def of(self, verdict: str) -> list[dict]:
    return [mutant for mutant in self.mutants.values() if mutant['verdict'] == verdict]

  def count(self) -> int:
    return len(self.of(KILLED)) + len(self.of(SURVIVED))

  def percentage(self) -> float:
    return 100 * len(self.of(KILLED)) / self.count() if self.count() else 0

  def report(self) -> str:
    lines = ['', 'survivors:'] if self.of(SURVIVED) else []
    for mutant in self.of(SURVIVED):
      lines += [mutant['place'], *(f'  {line}' for line in mutant['diff'])]
    lines += ['', 'killed by:']
    suites = Counter(mutant['by'] for mutant in self.of(KILLED))
    lines += [f'  {suite:32} {number:4}' for suite, number in suites.most_common()]
    spent = sum(mutant['took'] for mutant in self.mutants.values())
    lines += [f'{self.count()} mutants, {len(self.of(KILLED))} killed, {len(self.of(SURVIVED))} survived: '
              f'{self.percentage():.1f} %; {len(self.of(NO_MUTANT))} others did not compile or changed no '
              f'program; {spent / max(1, self.count()):.1f} s a mutant']
    return '\n'.join(lines)
