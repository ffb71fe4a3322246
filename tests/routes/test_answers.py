"""Answers that slapd does not give, or not without much work: without end, too many, refusals.

No root, no network beyond loopback.
"""

from pathlib import Path

import pytest

from .directory import Asker, same_answers
from .endless_directory import EndlessDirectory


@pytest.fixture
def endless(directory):
  """endless('ldaps')"""
  made: list[EndlessDirectory] = []

  def new(scheme: str) -> EndlessDirectory:
    made.append(EndlessDirectory(directory.authority if scheme == 'ldaps' else None))
    return made[-1]
  yield new
  for one in made:
    one.stop()


def peak(asker: Asker) -> int:
  """The most memory that it ever had, in MiB."""
  status = Path(f'/proc/{asker.child.pid}/status').read_text()
  return int(status.partition('VmHWM:')[2].split()[0]) // 1024


MUCH_MORE = 200  # MiB; a sanitizer needs some itself, and the directory sends 512


@pytest.mark.parametrize('scheme', ['ldap', 'ldaps'])
@pytest.mark.parametrize('address', ['message@example.org', 'entries@example.org'])
def test_a_directory_that_sends_without_end_takes_no_memory(directory, endless, address, scheme):
  """Nor does it count as down: it may have a single entry like that."""
  asker = directory.asker(endless(scheme).uri, '--route-ldap-timeout=30s',
                          '--route-ldap-negative-cache=0s',
                          f'--route-ldap-ca-file={directory.authority.path("ca.pem")}')
  same_answers(asker, {'bob@example.org': 'default'})
  before = peak(asker)
  wanted = '451 4.4.3 No route: the directory sends more than a look-up may need'
  for _ in range(2):
    same_answers(asker, {address: wanted})
  assert asker.ask(f'8 {address}')[0] == f'8 {wanted}'
  assert peak(asker) < before + MUCH_MORE, f'{before} MiB, then {peak(asker)} MiB'
  same_answers(asker, {'bob@example.org': 'default'})
  assert asker.lines_with('event=directory-too-long') == 1
  assert asker.lines_with('event=directory-down') == 0


def test_a_directory_that_answers_the_login_without_end_takes_no_memory(directory, endless):
  server = endless('ldap')
  asker = directory.asker(server.uri, '--route-ldap-timeout=30s',
                          '--route-ldap-bind-dn=cn=endless',
                          f'--route-ldap-password-file={directory.password_file()}')
  before = peak(asker)
  same_answers(asker, {'bob@example.org': f'451 4.4.3 No route: {server.uri}: '
                                          'it sends more than 256 KiB before the first search'})
  assert peak(asker) < before + MUCH_MORE, f'{before} MiB, then {peak(asker)} MiB'
  assert asker.lines_with('event=directory-down') == 1


def test_a_directory_without_a_size_limit_sends_too_many_entries(directory, endless):
  refused = '451 4.4.3 No route: Size limit exceeded'
  same_answers(directory.asker(endless('ldap').uri), {
      'crowd@example.org': refused,
      'eight@example.org': 'inet:imap1',
      'nine@example.org': refused,
  })


def test_many_large_answers_for_one_message_are_taken(directory, endless):
  """Together they are longer than one look-up may need."""
  asker = directory.asker(endless('ldap').uri)
  assert asker.ask('=32 large@example.org')[0] == '32 inet:imap1'


def test_only_an_entry_answers(directory, endless):
  """A referral is temporary where nothing else was found."""
  same_answers(directory.asker(endless('ldap').uri), {
      'elsewhere@example.org': '451 4.4.3 No route: the directory answered with a referral to another one',
      'here@example.org': 'inet:imap1',
      'slow@example.org': 'inet:imap1',
  })


@pytest.mark.parametrize('address, words, is_down', [
    ('denied', r'Insufficient access (not\nyou)', False),
    ('busy', 'Server is busy', True),
    ('unavailable', 'Server is unavailable', True),
    ('gone', "Can't contact LDAP server", True)])
def test_a_refusal_is_temporary_and_not_always_the_directorys_end(directory, endless, address, words,
                                                                 is_down):
  asker = directory.asker(endless('ldap').uri)
  same_answers(asker, {f'{address}@example.org': f'451 4.4.3 No route: {words}'})
  assert asker.lines_with('event=directory-down') == is_down
