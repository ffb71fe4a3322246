"""The Lua scripts, each played by miltertest against a milter with the configuration it asks for.

What it is: asked_for() reads a script's comments, play() runs it and gives its cases, verified
  where a script hands a tag over. A script without a case, or with two of one name, has failed.
What it does not know: which milters run already (run).
Called by: run.
Failure: a case with a reason; a script that breaks off is one too.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

from mta import tags
from mta.wire import Deviation

from private import KEYS, Milter

LIBRARY = 'library.lua'
SECONDS = 20
Case = tuple[str, str]  # a name, and why it failed; '' if it did not


def asked_for(script: Path) -> str:
  """The lines of the configuration in its comments `--: `."""
  return ''.join(f'{line}\n' for line in re.findall(r'^--: (.*)$', script.read_text(), re.M))


def verified(name: str, value: str, queue_id: str, message_id: str, listed: str) -> Case:
  try:
    claims = tags.verify(value, KEYS, message_id, queue_id)
    secret = KEYS[claims.key_id]
    wanted = {tags.recipient_digest(secret, unquote(one)) for one in listed.split()}
    if wanted and claims.quota != wanted:
      return name, f'the list has other digests than those of {listed}'
    if not wanted and claims.quota not in ('*', '-'):
      return name, 'a list where none was expected'
    return name, ''
  except Deviation as deviation:
    return name, str(deviation)


def case_of(line: str) -> Case | None:
  if line.startswith('verify\t'):
    return verified(*line.split('\t')[1:])
  found = re.fullmatch(r'(not )?ok (.*)', line)
  if not found:
    return None
  name, _, why = found[2].rpartition(': saw ') if found[1] else (found[2], '', '')
  return name, f'saw {why}' if found[1] else ''


def play(script: Path, milter: Milter) -> list[Case]:
  title = script.stem.replace('_', ' ')
  try:
    done = subprocess.run(
        ['miltertest', '-D', f'SOCKET={milter.socket}', '-D', f'PRELUDE={script.parent / LIBRARY}',
         '-s', script], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
  except (subprocess.TimeoutExpired, OSError) as error:
    return [(title, f'{type(error).__name__}: {error}')]
  lines = done.stdout.decode('utf-8', 'backslashreplace').splitlines()
  cases = [(f'{title}: {name}', why) for name, why in filter(None, map(case_of, lines))]
  twice = [name for name, count in Counter(name for name, _ in cases).items() if count > 1]
  if done.returncode or done.stderr:
    said = done.stderr.decode(errors='replace') or f'exit status {done.returncode}'
    cases.append((title, f'broke off: {said} {lines[-1:]}'))
  elif not cases:
    cases.append((title, 'has no case'))
  elif twice:
    cases.append((title, f'has two cases of one name: {twice[0]}'))
  if not milter.alive():
    cases.append((title, 'the milter has ended'))
  return cases
