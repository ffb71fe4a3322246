"""The events that a program logs, out of its source, and the tables of them in its man page.

A Record names its event in its constructor: `Record("event")` with a chain of `.add()`, or
`Record name("event")` and `name.add()` later in the function, or a function that returns a Record.
Events.read() finds an event's fields and levels there; Page.read() reads what the page says.
"""

import functools
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {'mailer': 'docs/man/lmtpq.8', 'milter': 'docs/man/lmtpq-milter.8'}
# Where standard error is for the person who typed the command.
COMMANDS = {'common/findings.h', 'common/process/standard_output.cpp', 'mailer/check.cpp', 'mailer/check/cf_check.cpp',
            'mailer/check/queue_check.cpp', 'mailer/keygen.cpp', 'mailer/main.cpp', 'mailer/probe_command.cpp',
            'mailer/serve/main.cpp', 'mailer/serve/status/status_client.cpp', 'milter/main.cpp'}
SYSLOG = 'milter/process/libmilter_log.cpp'  # replaces syslog(3)
LEVELS = 'error|warning|info|debug'
CALL = rf'(?<![\w"])({LEVELS})\(\s*'
FIELD = re.compile(r'\.add\(\s*"([^"]+)"')
ANY_NAME = re.compile(r'\.add\(\s*[^"\s]')
MADE = re.compile(r'\bRecord(?:\s+(\w+))?\(\s*"([^"]*)"\s*\)')
UNNAMED = re.compile(r'\bRecord(?:\s+\w+)?\(\s*(?!const |std::string_view)[^"\s)].*')
PLAIN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'')
BYPASS = re.compile(r'\bv?syslog\(|\bperror\(|std::cerr|std::clog|write\(STDERR|dprintf\(STDERR')
TO_STDERR = re.compile(r'\bf(?:printf|puts|write|putc)\((?:[^;]*,)?\s*(?:[^;,]*[ ?:])?stderr\b')


def folders_of(program: str, root: Path = ROOT) -> list[Path]:
  """The folders of folders.txt that are in this program."""
  named = re.findall(r'^\d+ +(\S+)', (root / 'folders.txt').read_text(), re.MULTILINE)
  return [root / name for name in named if name.split('/')[0] in ('common', program)]


@functools.cache
def functions(text: str) -> list[str]:
  """The text without comments and without ; { } in literals, in pieces as functions end."""
  def plain(match):
    return '' if match[0].startswith('//') else re.sub('[;{}]', ',', match[0])
  return re.split(r'^}.*$', PLAIN.sub(plain, text), flags=re.MULTILINE)


class Events:
  def __init__(self):
    self.fields: dict[str, set[str]] = defaultdict(set)
    self.levels: dict[str, set[str]] = defaultdict(set)
    self.with_options: set[str] = set()  # they have options as fields
    self.loose: set[str] = set()  # fields that are added where the event is not known
    self.mistakes: list[str] = []

  @classmethod
  def read(cls, program: str, root: Path = ROOT) -> 'Events':
    made = cls()
    for folder in folders_of(program, root):
      for path in sorted([*folder.glob('*.cpp'), *folder.glob('*.h')]):
        made.read_file(str(path.relative_to(root)), path.read_text())
    return made

  def read_file(self, name: str, text: str):
    bodies = functions(text)
    if name != SYSLOG and any(map(BYPASS.search, bodies)):
      self.mistakes.append(f'{name} writes log lines without Record')
    if name not in COMMANDS and any(map(TO_STDERR.search, bodies)):
      self.mistakes.append(f'{name} writes to standard error')
    self.mistakes += [f'{name}: no literal event: {found}'
                      for body in bodies for found in UNNAMED.findall(body)]
    # What names a Record in a function: a function that makes it, or a variable.
    makers: dict[str, set[str]] = defaultdict(set)
    for body in bodies:
      if maker := re.search(r'^Record (\w+)\(', body, re.MULTILINE):
        makers[rf'\b{maker[1]}\('].update(event for _, event in MADE.findall(body))
    loose_levels: set[str] = set()
    for body in bodies:
      self.read_function(body, makers, loose_levels)
    for event in set().union(*makers.values()):
      if not self.levels[event]:
        self.levels[event] = set(loose_levels)

  def read_function(self, body: str, makers: dict[str, set[str]], loose_levels: set[str]):
    names = dict(makers)
    for statement in re.split(r'[;{}]', body):
      if made := MADE.search(statement):
        if made[1]:
          names[rf'\b{made[1]}\b'] = {made[2]}
        self.take({made[2]}, r'Record\(', statement)
        continue
      found = [name for name in names if re.search(name, statement)]
      for name in found:
        self.take(names[name], name, statement)
      if not found:
        self.loose.update(FIELD.findall(statement))
        loose_levels.update(re.findall(CALL + r'\w+(?:\)|\.add\()', statement))

  def take(self, events: set[str], name: str, statement: str):
    levels = set(re.findall(CALL + name, statement))
    if '.write(' in statement:
      levels.update(level.lower() for level in re.findall(r'LogLevel::k(\w+)', statement))
    fields = FIELD.findall(statement)
    if len(events) > 1:
      self.loose.update(fields)
    for event in events:
      self.levels[event] |= levels
      self.fields[event].update(fields if len(events) == 1 else ())
      if ANY_NAME.search(statement):
        self.with_options.add(event)


class Page:
  """`.Ss Events`: entries `.It Ic EVENT Pq LEVEL`, with lines `.Va FIELD , FIELD`, and `.Ar OPTION`
  where options are fields. `.Ss Fields`: entries `.It Va FIELD`."""

  def __init__(self):
    self.fields: dict[str, set[str]] = {}
    self.levels: dict[str, set[str]] = {}
    self.with_options: set[str] = set()
    self.explained: list[str] = []

  @classmethod
  def read(cls, program: str, root: Path = ROOT) -> 'Page':
    made = cls()
    section, event = '', ''
    for line in (root / PAGES[program]).read_text().splitlines():
      if match := re.match(r'\.S[sh] (.*)', line):
        section, event = match[1], ''
      elif section == 'Fields' and line.startswith('.It Va '):
        made.explained += re.findall(r'[^ ,]+', line[len('.It Va '):])
      elif section == 'Events' and (match := re.match(r'\.It Ic (\S+)(?: Pq (.*))?', line)):
        event = match[1]
        made.fields[event] = set()
        made.levels[event] = set(re.findall(r'[^ ,]+', match[2] or ''))
      elif event and line.startswith('.Va '):
        made.fields[event].update(re.findall(r'[^ ,.]+', line[len('.Va '):]))
      elif event and line.startswith('.Ar OPTION'):
        made.with_options.add(event)
    return made


def complaints(program: str, root: Path = ROOT) -> list[str]:
  """Where a program and its man page differ, a line for each."""
  logged, page = Events.read(program, root), Page.read(program, root)
  path = PAGES[program]
  made = logged.mistakes
  made += [f'{event} is logged, and not in {path}' for event in sorted(logged.fields.keys() - page.fields.keys())]
  made += [f'{event} is in {path}, and never logged' for event in sorted(page.fields.keys() - logged.fields.keys())]
  for event in sorted(logged.fields.keys() & page.fields.keys()):
    own, told = logged.fields[event], page.fields[event]
    made += [f'{event}: {field} is not in {path}' for field in sorted(own - told)]
    made += [f'{event}: {field} of {path} is not logged' for field in sorted(told - own - logged.loose)]
    if logged.levels[event] != page.levels[event] or not page.levels[event]:
      made.append(f'{event} has level {sorted(logged.levels[event])}, in {path} {sorted(page.levels[event])}')
    if (event in logged.with_options) != (event in page.with_options):
      made.append(f'{event}: options as fields are in one of source and {path} only')
  told = set().union(*page.fields.values())
  made += [f'{field} is added to a line, and no event of {path} has it' for field in sorted(logged.loose - told)]
  made += [f'{field} is not explained in {path}' for field in sorted(told - set(page.explained))]
  made += [f'{field} is explained in {path}, and no event has it' for field in sorted(set(page.explained) - told)]
  names = set(logged.fields) | logged.loose | set().union(*logged.fields.values())
  made += [f'{name} is not in kebab-case' for name in sorted(names)
           if not re.fullmatch(r'[a-z0-9]+(-[a-z0-9]+)*', name)]
  return made
