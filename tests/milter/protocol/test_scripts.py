"""The Lua scripts, each played by miltertest against a milter with the configuration it asks for.

Every check of a script is a case; where a script hands a tag over, the tag is verified here. Needs
miltertest.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

from peers.mta import tags
from peers.mta.wire import Deviation

from ..private_milter import KEYS, Milter

HERE = Path(__file__).parent
LIBRARY = HERE / 'library.lua'
SCRIPTS = sorted(set(HERE.glob('*.lua')) - {LIBRARY})
SECONDS = 90
# Keys in this file would be used by a milter whose script wants none.
DEFAULT_KEYS = Path('/etc/lmtpq/tag.keys')


def asked_for(script: Path) -> str:
  """The lines of the configuration in its comments `--: `."""
  return ''.join(f'{line}\n' for line in re.findall(r'^--: (.*)$', script.read_text(), re.M))


def verified(value: str, queue_id: str, message_id: str, listed: str) -> str:
  """Why the tag is not as it should be; '' if it is."""
  try:
    claims = tags.verify(value, KEYS, message_id, queue_id)
  except Deviation as deviation:
    return str(deviation)
  secret = KEYS[claims.key_id]
  wanted = {tags.recipient_digest(secret, unquote(one)) for one in listed.split()}
  if wanted and claims.quota != wanted:
    return f'the list has other digests than those of {listed}'
  if not wanted and claims.quota not in ('*', '-'):
    return 'a list where none was expected'
  return ''


def check_of(line: str) -> tuple[str, str] | None:
  """A check's name, and why it failed; '' if it did not."""
  if line.startswith('verify\t'):
    _, name, *rest = line.split('\t')
    return name, verified(*rest)
  found = re.fullmatch(r'(not )?ok (.*)', line)
  if not found:
    return None
  name, _, why = found[2].rpartition(': saw ') if found[1] else (found[2], '', '')
  return name, f'saw {why}' if found[1] else ''


@pytest.mark.may_skip('has keys')
@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.stem.replace('_', ' '))
def test_script(script, scratch, lmtpq_milter, verdict):
  lines = asked_for(script)
  if 'tag-keys =\n' in lines and DEFAULT_KEYS.exists():
    pytest.skip(f'{DEFAULT_KEYS} has keys')
  milter = Milter(lmtpq_milter, scratch.path / 'milter', lines=lines).start()
  ran = subprocess.run(
      ['miltertest', '-D', f'SOCKET={milter.socket}', '-D', f'PRELUDE={LIBRARY}', '-s', script],
      stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
  output = ran.stdout.decode('utf-8', 'backslashreplace').splitlines()
  checks = [check for line in output if (check := check_of(line))]
  for name, why in checks:
    verdict(name, why)
  assert milter.alive(), 'the milter has ended'
  verdict('its milter stops cleanly', milter.farewell())
  assert (ran.returncode, ran.stderr) == (0, b''), f'it broke off: {output[-1:]}'
  assert checks, 'it has no check'
  assert not [name for name, count in Counter(name for name, _ in checks).items() if count > 1]
