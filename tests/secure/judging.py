"""Whether a run ended as it must: each judge returns its complaint, or ''.

What it is: what the process answered, what it logged, what the stores have and what they saw.
What it does not know: which attack it was, beyond what the row says.
Called by: case.
"""

import re

from . import hidden

DELIVERED, TEMPORARY = 0, 75
UNREACHABLE, PROTOCOL_ERROR = 69, 76  # of probe


def judge(case, front: str, result, stores, files: bytes):
  for judgement in (health, answer, filing, log, security, secrecy, dialogue):
    complaint = judgement(case, front, result, stores, files)
    assert not complaint, f'{complaint}; {summary(result, stores)}'


def own_lines(result) -> list[str]:
  """The log without the dialogue, which --debug-peer has put there too."""
  return [line for line in result.log.splitlines() if line and 'event=transcript-line' not in line]


def summary(result, stores) -> str:
  lines = own_lines(result)
  received = [store.commands[-3:] for store in stores]
  return (f'status {result.status} after {result.seconds:.1f} s, replies {result.replies}, '
          f'received {received}, log: {" | ".join(lines[-4:])}')[:1500]


def health(case, _front, result, stores, _files) -> str:
  errors = [error for store in stores for error in store.errors]
  if errors:
    return f'the store itself failed: {errors[0]}'
  if 'Sanitizer' in result.log or 'runtime error' in result.log or result.status < 0:
    return f'lmtpq broke down (status {result.status}): {result.log[-2000:]}'
  if not case.least <= result.seconds <= case.longest:
    return f'it took {result.seconds:.1f} s, not {case.least:g} to {case.longest:g}'
  return ''


def answer(case, front, result, _stores, _files) -> str:
  """One for each recipient: temporary to an attack."""
  wanted = TEMPORARY if case.reason else DELIVERED
  if front == 'probe':
    good = result.status in (UNREACHABLE, PROTOCOL_ERROR) if case.reason else result.status == 0
    return '' if good else f'exit status {result.status}'
  begin = {('deliver', 0): 'sent', ('deliver', 75): 'deferred', ('relay', 0): '250 ',
           ('relay', 75): '4'}[front, wanted]
  if front == 'deliver' and result.status != wanted:
    return f'exit status {result.status}, not {wanted}'
  expected = case.messages * len(hidden.RECIPIENTS)
  started = len(result.replies) == expected
  if front == 'deliver' and not started and case.reason and not result.replies:
    return ''  # a mistake in the settings: nothing began, and the log has it
  if not started:
    return f'{len(result.replies)} replies for {expected} recipients'
  good = case.good * len(hidden.RECIPIENTS)
  wrong = [reply for reply in result.replies[good:] if not reply.startswith(begin)]
  wrong += [reply for reply in result.replies[:good] if not reply.startswith('250 ')]
  if wrong:
    return f'a reply is not "{begin}...": {wrong[0]}'
  if case.possible_duplicate and 'possible duplicate' not in (result.printed + result.log).lower():
    return 'the log has no possible duplicate'
  return ''


def filing(case, front, _result, stores, _files) -> str:
  """Exactly once, or not at all."""
  for number, store in enumerate(stores):
    messages = case.good if case.reason else case.messages
    whole = messages if number == case.filed_at and front != 'probe' else 0
    wanted = whole * len(hidden.RECIPIENTS)
    if len(store.filed) != wanted:
      return f'store {number + 1} filed {len(store.filed)} times, not {wanted}'
    whole += (case.possible_duplicate or case.seen) and number == 0
    if len(store.seen) != whole:
      return f'store {number + 1} saw {len(store.seen)} complete messages'
    for message in store.seen:
      if message.removesuffix(b'.\r\n') != case.message:
        return f'the message at store {number + 1} is another than was sent'
  dials = sum(len(store.connections) for store in stores)
  if case.dials and dials != case.dials:
    return f'{dials} connections, not {case.dials}'
  return ''


def values(key: str, text: str) -> list[str]:
  return re.findall(key + r'="((?:[^"\\]|\\.)*)"', text)


def log(case, _front, result, _stores, _files) -> str:
  """One clear line. Of probe, and before the log is open, it is what is printed."""
  lines = own_lines(result)
  failures = r'event=(?:store-failed|connection-insecure) [^\n]*error'
  reasons = (values(failures, result.log) or values('reply', result.log)
             or (result.log + result.printed).splitlines())
  if case.reason and not any(re.search(case.reason, reason, re.I) for reason in reasons):
    return f'the log does not give the reason "{case.reason}": {reasons}'
  if case.logged and not any(re.search(case.logged, line) for line in lines):
    return f'the log does not have "{case.logged}"'
  if len(lines) > 12 or any(len(line) > 3000 for line in lines):
    return f'{len(lines)} lines of log, the longest of {max(map(len, lines))} bytes'
  return ''


def security(case, front, result, stores, _files) -> str:
  """What a control logs of its last connection agrees with what the store knows of it."""
  if case.reason or front == 'probe':
    return ''
  protocol = stores[case.filed_at].connections[-1].protocol
  if bool(protocol) == case.in_clear:
    return f'TLS was "{protocol}"'
  wanted = f'tls={protocol}/' if protocol else 'tls=none'
  sent = [line for line in own_lines(result) if 'status=sent' in line]
  if not sent or wanted not in sent[-1]:
    return f'no "{wanted}" where the log says "sent"'
  secured = [line for line in own_lines(result) if 'cipher=' in line and wanted in line]
  return 'the log has no line about the TLS connection' if protocol and not secured else ''


def secrecy(case, _front, result, stores, files) -> str:
  for where, text in (('log', result.log), ('output', result.printed)):
    if hidden.password_in(text.encode('latin-1')):
      return f'the password is in the {where}'
  if hidden.password_in(files):
    return 'the password is in the transcript'
  for number, store in enumerate(stores, 1):
    for connection, received in enumerate(store.connections):
      # What came before the attack was right.
      good = number == case.filed_at + 1 and (not case.reason or connection < case.good)
      raw, inside = bytes(received.raw), bytes(received.inside)
      if hidden.password_in(raw) and not (case.in_clear and case.password_shown):
        return f'store {number} saw the password in clear'
      if hidden.message_in(raw) and not (case.in_clear and (good or case.message_shown)):
        return f'store {number} saw of the message in clear'
      if hidden.password_in(inside) and not (good or case.password_shown):
        return f'store {number} was given the password'
      if hidden.message_in(inside) and not (good or case.message_shown):
        return f'store {number} was given of the message'
  return ''


def dialogue(case, _front, _result, stores, _files) -> str:
  said = [line.decode('latin-1') for store in stores for line in store.commands]
  for pattern in case.commands:
    found = any(re.search(pattern.lstrip('!'), line) for line in said)
    if found == pattern.startswith('!'):
      return f'the store {"received" if found else "did not receive"} {pattern.lstrip("!")}: {said}'
  told_most = max((received.told for store in stores for received in store.connections), default=0)
  if told_most > 24 << 20:
    return f'it took {told_most} bytes of an endless answer'
  return ''
