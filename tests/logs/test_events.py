"""The events of the log: the man pages have those of the source, and a difference is found."""

import re
import shutil

import pytest

from .events import PAGES, ROOT, Events, complaints

BOTH = sorted(PAGES)
MAILER, MILTER = PAGES['mailer'], PAGES['milter']
LOST = 'mailer/delivery/lmtp_session.cpp'
UNREAD = 'mailer/delivery/unread_replies.cpp'
RULES = 'milter/configuration_log.cpp'
RELAY = 'mailer/relay.cpp'


@pytest.mark.parametrize('program', BOTH)
def test_the_man_page_has_the_events_that_are_logged(program):
  assert len(Events.read(program).fields) > 15
  assert '\n'.join(complaints(program)) == ''


@pytest.fixture
def tree(tmp_path):
  """A copy of what is compared; gives a function that replaces a text in one of its files."""
  for folder in ('common', 'mailer', 'milter'):
    shutil.copytree(ROOT / folder, tmp_path / folder)
  for name in ('folders.txt', *PAGES.values()):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / name, tmp_path / name)

  def plant(name: str, old: str, new: str) -> list[str]:
    path = tmp_path / name
    text = path.read_text()
    assert old in text, f'{name} does not have {old}'
    path.write_text(text.replace(old, new, 1))
    return [complaint for program in BOTH for complaint in complaints(program, tmp_path)]
  return plant


@pytest.mark.parametrize('name, old, new, wanted', [
    pytest.param(UNREAD, 'Record record("reply-lost")', 'Record record("reply-late")',
                 [f'reply-late is logged, and not in {MAILER}', f'reply-lost is in {MAILER}, and never logged'],
                 id='a new event, and one that is gone'),
    pytest.param(MAILER, '.It Ic draining Pq info\n', '.It Ic draining Pq info\n.It Ic asleep Pq info\n',
                 [f'asleep is in {MAILER}, and never logged', f'draining: clients is not in {MAILER}'],
                 id='an event that is never logged'),
    pytest.param(RULES, '.add("rules", ', '.add("laws", ',
                 [f'reloaded: laws is not in {MILTER}', f'reloaded: rules of {MILTER} is not logged'],
                 id='another field'),
    pytest.param(LOST, 'Record record("client-lost");', 'Record record("client-lost"); record.add("qid", reason);',
                 [f'client-lost: qid is not in {MAILER}'], id='a field that the page lacks'),
    pytest.param(MILTER, '.Va signal\n', '.Va signal , size\n',
                 [f'stopped: size of {MILTER} is not logged'], id='an invented field'),
    pytest.param('mailer/delivery/delivery_log.cpp', 'record.add("tls", tls', 'record.add("tls-state", tls',
                 [f'tls-state is added to a line, and no event of {MAILER} has it'],
                 id='a field of a function that fills in a line'),
    pytest.param(MAILER, '.Ar OPTION\n', '', ['store-settings: options as fields'], id='options as fields'),
    pytest.param(RELAY, 'log.error(Record("relay-failed")', 'log.info(Record("relay-failed")',
                 ['relay-failed has level'], id='another level'),
    pytest.param(MAILER, '.It Ic delivery Pq info , warning', '.It Ic delivery Pq info',
                 ['delivery has level'], id='one level of two'),
    pytest.param(MILTER, '.It Ic no-keys Pq warning', '.It Ic no-keys', ['no-keys has level'], id='no level'),
    pytest.param(MILTER, '.It Va signal\n', '.It Va signals\n',
                 [f'signal is not explained in {MILTER}', f'signals is explained in {MILTER}, and no event has it'],
                 id='a field without explanation'),
    pytest.param(LOST, '.add("state"', '.add("serverState"', ['serverState is not in kebab-case'],
                 id='a field that is not in kebab-case'),
    pytest.param(RELAY, 'Record("relay-failed")', 'Record("relay_failed")', ['relay_failed is not in kebab-case'],
                 id='an event that is not in kebab-case'),
    pytest.param(RELAY, 'Record("relay-failed")', 'Record(error.what())', [f'{RELAY}: no literal event'],
                 id='an event that is no literal'),
    pytest.param(RELAY, '  stop_between_messages_on_signals();', '  syslog(LOG_INFO, "begins");',
                 [f'{RELAY} writes log lines without Record'], id='syslog without Record'),
    pytest.param(RELAY, '  stop_between_messages_on_signals();', '  std::fprintf(stderr, "begins\\n");',
                 [f'{RELAY} writes to standard error'], id='standard error without Record'),
])
def test_a_difference_is_found(tree, name, old, new, wanted):
  found = tree(name, old, new)
  for text in wanted:
    assert any(complaint.startswith(text) for complaint in found), found


@pytest.mark.parametrize('program, other', [('mailer', 'milter'), ('milter', 'mailer')])
def test_a_program_has_common_and_its_own_folders(program, other):
  own, others = Events.read(program).fields, Events.read(other).fields
  assert own['log-file-failed'] and others['log-file-failed'], 'of common/'
  assert set(own) - set(others) and set(others) - set(own)


def test_the_documents_quote_events_and_fields_that_are_logged():
  both = [Events.read(program) for program in BOTH]
  quotes = [(path.name, quote) for path in [ROOT / 'README.md', *(ROOT / 'docs').glob('*.md')]
            for quote in re.findall(r'`event=[^`]*`', path.read_text())]
  assert len(quotes) > 15
  for name, quote in quotes:
    event = re.match(r'`event=([a-z-]*)', quote)[1]
    known = [events for events in both if event in events.fields]
    if event == '':
      continue  # of event= as such
    assert known, f'{name}: {quote}'
    unquoted = re.sub(r'"[^"]*"', '', quote)
    for field in re.findall(r' ([a-z-]+)=', unquoted):
      assert any(field in events.fields[event] | events.loose or event in events.with_options
                 for events in known), f'{name}: {field} of {quote}'
