"""The events that the programs log, out of their source, for the table in the man pages.

A Record names its event in its constructor: `Record("event")`, or `Record name("event")` with
`name.add(...)` later in the function. found() gives each event's fields as they are added there.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAIN = re.compile(r'\bRecord(?:\s+\w+)?\("([^"]+)"[^;]*', re.DOTALL)
NAMED = re.compile(r'\bRecord\s+(\w+)\("([^"]+)"')
FIELD = re.compile(r'\.add\(\s*"([^"]+)"')
COMMENT = re.compile(r'^\s*//.*$', re.MULTILINE)


def functions(text: str) -> list[str]:
  """The text in pieces that end where a function at the margin does."""
  return re.split(r'^}.*$', COMMENT.sub('', text), flags=re.MULTILINE)


def sources(folders: list[str]):
  for folder in folders:
    for path in sorted((ROOT / folder).rglob('*.cpp')):
      yield path.read_text()


def found(folders: list[str]) -> dict[str, set[str]]:
  """Event -> its fields."""
  events: dict[str, set[str]] = {}
  for text in sources(folders):
    for body in functions(text):
      for match in CHAIN.finditer(body):
        events.setdefault(match[1], set()).update(FIELD.findall(match[0]))
      for name, event in NAMED.findall(body):
        for statement in re.findall(rf'\b{name}\s*\.add\(.*?;', body, re.DOTALL):
          events[event].update(FIELD.findall(statement))
  return events


def fields(folders: list[str]) -> set[str]:
  """Every field that is added to any line."""
  return {field for text in sources(folders) for field in FIELD.findall(COMMENT.sub('', text))}


def unnamed(folders: list[str]) -> list[str]:
  """Records whose event is no literal: nobody could look it up."""
  return [match for text in sources(folders)
          for match in re.findall(r'\bRecord(?:\s+\w+)?\((?!["\)])[^)]*\)', COMMENT.sub('', text))
          if 'Record::' not in match and 'std::string_view' not in match]


def documented(page: str) -> dict[str, set[str]]:
  """Event -> fields of the table in a man page: `.It Ic EVENT Pq LEVEL`, then `.Va FIELD , FIELD`."""
  events: dict[str, set[str]] = {}
  event = None
  for line in (ROOT / page).read_text().splitlines():
    if match := re.match(r'\.Ss Events|\.S[sh] ', line):
      event = '' if 'Events' in match[0] else None
    elif event is not None:
      if match := re.match(r'\.It Ic (\S+) Pq', line):
        event = match[1]
        events[event] = set()
      elif line.startswith('.Va ') and event:
        events[event].update(re.findall(r'[a-z][a-z0-9-]*', line[4:]))
  return events


def complaints(page: str, folders: list[str]) -> list[str]:
  written, told = found(folders), documented(page)
  made = [f'{event} is logged, and not in {page}' for event in sorted(written.keys() - told.keys())]
  made += [f'{event} is in {page}, and never logged' for event in sorted(told.keys() - written.keys())]
  for event in sorted(written.keys() & told.keys()):
    made += [f'{event}: {field} is not in {page}' for field in sorted(written[event] - told[event])]
    made += [f'{event}: {field} of {page} is added nowhere'
             for field in sorted(told[event] - fields(folders))]
  made += [f'{name} is not in kebab-case' for name in sorted(set(written) | fields(folders))
           if not re.fullmatch(r'[a-z0-9]+(-[a-z0-9]+)*', name)]
  made += [f'no literal event: {text}' for text in unnamed(folders)]
  return made
