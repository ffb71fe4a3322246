"""The places of a C++ source where a mutant differs from it, found by patterns in its code alone.

A Place is one small change: a condition is negated, a bound moves by one, `true` becomes `false`,
`&&` becomes `||`, `+` becomes `-`, `std::min` becomes `std::max`, or a call is left out. Comments,
literals and preprocessor lines are blank when the patterns look. A change need not compile.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|^[ \t]*#(?:\\\n|[^\n])*|R"(?P<end>\w*)\(.*?\)(?P=end)"'
                  r"""|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'""", re.M | re.S)
SWAPS = {
    # A bound, and what is equal.
    r' <= ': ' < ', r' < ': ' <= ', r' >= ': ' > ', r' > ': ' >= ', r' == ': ' != ', r' != ': ' == ',
    r' && ': ' || ', r' \|\| ': ' && ',
    r' \+ ': ' - ', r' - ': ' + ', r' \+= ': ' -= ', r' -= ': ' += ',
    r'\+\+': '--', r'--': '++',
    r'\btrue\b': 'false', r'\bfalse\b': 'true',
    r'(?<=[(\s])!(?=[\w(:])': '',
    r'\bstd::min\b': 'std::max', r'\bstd::max\b': 'std::min',
}
BRANCH = re.compile(r'\b(?:if|while) (?=\()')
DECLARATION = re.compile(r'[^=(]*[\w>\]] ?[*&]? ?\b\w+\]? = ')  # its value is the condition
NAME = re.compile(r'(?<=[;{})\n:])\s+(?!(?:if|for|while|switch|return|static_assert|catch)\b)'
                  r'(?=[\w:.>()\[\]-]+\()\w[\w:]*')
CHAIN = re.compile(r'\s*(?:\.|->)\w+')
# No test meets a deadline at the very nanosecond, and a reserve() changes no result.
AGAINST_NOW = re.compile(r'Clock::now\(\) [<>]|[<>]=? Clock::now\(\)')
RESERVE = re.compile(r'\breserve\($')


@dataclass(frozen=True)
class Place:
  name: str  # of the file
  start: int
  end: int
  new: str  # instead of what is from start to end

  def mutant(self, text: str) -> str:
    return text[:self.start] + self.new + text[self.end:]

  def line(self, text: str) -> int:
    return text.count('\n', 0, self.start) + 1

  def key(self, text: str) -> str:
    """The same as long as the file is the same."""
    old = ' '.join(text[self.start:self.end].split())
    column = text.index(old[0], self.start) - text.rfind('\n', 0, self.start)
    return f'{self.name}:{self.line(text)}:{column}: {old} -> {self.new.strip() or "(nothing)"}'

  def diff(self, text: str) -> list[str]:
    lines = difflib.unified_diff(text.splitlines(), self.mutant(text).splitlines(), n=0, lineterm='')
    return [line for line in list(lines)[2:] if not line.startswith('@@')]


def blank(match: re.Match) -> str:
  """As long, with the same line ends; a string keeps its quotes."""
  text = re.sub(r'[^\n]', ' ', match[0])
  return f'"{text[1:-1]}"' if match[0].endswith('"') else text


def code_of(text: str) -> str:
  return TEXT.sub(blank, text)


def closing(code: str, opening: int) -> int:
  """The place after the parenthesis or bracket that closes the one at `opening`."""
  depth = 0
  for place in range(opening, len(code)):
    if code[place] in '([{':
      depth += 1
    elif code[place] in ')]}':
      depth -= 1
      if depth == 0:
        return place + 1
  return len(code)


def swaps(name: str, code: str) -> Iterator[Place]:
  for pattern, new in SWAPS.items():
    for match in re.finditer(pattern, code):
      line = code[code.rfind('\n', 0, match.start()) + 1:code.find('\n', match.end())]
      is_timely = match[0].strip(' =') in ('<', '>') and AGAINST_NOW.search(line)
      is_text = match[0] == ' + ' and '"' in line
      if not is_timely and not is_text:
        yield Place(name, match.start(), match.end(), new)


def negations(name: str, code: str, text: str) -> Iterator[Place]:
  """Of conditions that no swap negates."""
  for match in BRANCH.finditer(code):
    start, end = match.end() + 1, closing(code, match.end()) - 1
    if ';' in code[start:end]:
      start += code[start:end].rindex(';') + 2
    condition = code[start:end]
    is_swap = re.search(r' == | != |(?:^|\s)!', condition) and not re.search(r'&&|\|\|', condition)
    if condition and not is_swap and not DECLARATION.match(condition):
      yield Place(name, start, end, f'!({text[start:end]})')


def calls(name: str, code: str) -> Iterator[Place]:
  """Statements that only call: `name(...);`, `name.name(...)->name(...);`."""
  for match in NAME.finditer(code):
    place, called = match.end(), False
    while place < len(code):
      if code[place] in '([':
        called = code[place] == '(' and not RESERVE.search(code, 0, place + 1)
        place = closing(code, place)
      elif link := CHAIN.match(code, place):
        place, called = link.end(), False
      else:
        break
    if called and code[place:place + 1] == ';':
      start = match.start() + len(match[0]) - len(match[0].lstrip())
      yield Place(name, start, place, '')


def places_of(name: str, text: str) -> list[Place]:
  code = code_of(text)
  found = {*swaps(name, code), *negations(name, code, text), *calls(name, code)}
  return sorted(found, key=lambda place: (place.start, place.end, place.new))
