"""What the log of our store says, one event a line: see tests/peers/store/README.md."""

import re

from fixtures.lmtp_store import LmtpStore


def unescaped(value: str) -> str:
  """A value without its brackets, and with its \\x20."""
  return re.sub(r'\\x([0-9a-f]{2})', lambda found: chr(int(found.group(1), 16)), value[1:-1])


def events(store: LmtpStore, name: str) -> list[dict[str, str]]:
  found = []
  for line in store.log_lines(f']: {name}: '):
    found.append({key: unescaped(value) if value.startswith('<') else value
                  for key, value in line.items()})
  return found


def commands(store: LmtpStore, verb: str) -> list[str]:
  """Every command line of this verb; the store needs --log-commands."""
  lines = [unescaped(value)
           for value in re.findall(r'\]: Command: .* line=(<\S*>)', store.log_text())]
  return [line for line in lines if line.split(' ')[0].upper() == verb]


def sessions(store: LmtpStore) -> int:
  """How many clients have said LHLO; a probe for the socket does not."""
  return len(commands(store, 'LHLO'))
