"""The daemon's metrics, its status table, and the documents that name them.

The tests run in this order on one daemon, whose counters go on.
"""

import contextlib
import json
import os
import pty
import re
import resource
import select
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from fixtures.lmtp_client import Message
from fixtures.paths import ROOT, VERSION
from fixtures.process import wait_until
from fixtures.scratch import Scratch
from fixtures.serve import Serve

from .observed_daemon import LIMIT, ObservedDaemon, family


@pytest.fixture(scope='module')
def daemon(lmtpq):
  scratch = Scratch('observe')
  made = ObservedDaemon(scratch, lmtpq)
  yield made
  made.end()
  scratch.remove()


def check(scrape, expected):
  """name{label=value,...}: the sample's value; None: there is none."""
  for text, wanted in expected.items():
    name, _, labels = text.rstrip('}').partition('{')
    labels = dict(pair.split('=', 1) for pair in labels.split(',') if pair)
    assert scrape.get(name, **labels) == wanted, text


def test_everything_begins_at_zero(daemon):
  store = f'destination={daemon.store.address}'
  check(daemon.scrape(), {
      f'lmtpq_deliveries_total{{{store},outcome=sent}}': 0,
      f'lmtpq_possible_duplicates_total{{{store}}}': 0,
      f'lmtpq_dials_total{{{store},result=tls}}': 0,
      f'lmtpq_dials_total{{{store},result=login}}': 0,
      f'lmtpq_pool_limit{{{store}}}': 7,
      f'lmtpq_store_up{{{store}}}': 1,
      'lmtpq_tags_total{verdict=bad_mac}': 0,
      'lmtpq_messages_total': 0,
      'lmtpq_log_lines_dropped_total': 0,
      f'lmtpq_clients{{listener=unix:{daemon.folder}/plain}}': 0,
      'lmtpq_clients_limit': 50,
      'lmtpq_deliveries_total{destination=other,outcome=sent}': None,
      'lmtpq_clients_refused_total{reason=other}': None,
  })


def test_the_version_is_that_of_the_source(daemon, lmtpq):
  shown = subprocess.run([lmtpq, '--version'], capture_output=True, text=True, check=True).stdout
  features = re.search('^with: (.*)$', shown, re.M).group(1)
  assert shown.startswith(f'lmtpq {VERSION}\n'), shown
  assert daemon.scrape().get('lmtpq_build_info', version=VERSION, features=features) == 1
  assert daemon.status().stdout.startswith(f'lmtpq {VERSION}   pid ')
  assert f'event=serving version={VERSION} ' in daemon.process.log_text()


def test_outcomes_count_by_reason(daemon):
  assert (daemon.deliver('plain', 'alice', 'nobody', 'full', header='X-Word: grün\r\n'.encode())
          == ['250', '550', '452'])
  assert daemon.deliver('quota', 'full') == ['250']
  store = f'destination={daemon.store.address}'
  check(daemon.scrape(), {
      f'lmtpq_deliveries_total{{{store},outcome=sent}}': 2,
      f'lmtpq_deliveries_total{{{store},outcome=deferred,reason=over_quota}}': 1,
      f'lmtpq_deliveries_total{{{store},outcome=refused,reason=user_unknown}}': 1,
      'lmtpq_ignorequota_total{result=no}': 3,
      'lmtpq_ignorequota_total{result=sent}': 1,
      'lmtpq_reliefs_total{kind=utf8_headers}': 3,
      'lmtpq_reliefs_total{kind=8bit}': 0,
      'lmtpq_messages_total': 2,
      f'lmtpq_dials_total{{{store},result=ready}}': 1,
      f'lmtpq_dial_seconds_count{{{store}}}': 1,
      f'lmtpq_pool_connections{{{store},state=idle}}': 1,
      f'lmtpq_pool_connections{{{store},state=leased}}': 0,
      'lmtpq_clients_admitted_total': 2,
  })


def test_times_are_histograms(daemon):
  scrape = daemon.scrape()
  store = daemon.store.address
  for phase in ('waited', 'sent', 'answered'):
    labels = {'destination': store, 'phase': phase}
    buckets = sorted((float(dict(found)['le']), value)
                     for (name, found), value in scrape.samples.items()
                     if name == 'lmtpq_delivery_seconds_bucket'
                     and labels.items() <= dict(found).items())
    assert [bound for bound, _ in buckets] == [
        .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
        float('inf')]
    counts = [count for _, count in buckets]
    assert counts == sorted(counts), f'{phase}: {counts}'
    assert counts[-1] == 4, phase
    assert scrape.get('lmtpq_delivery_seconds_count', **labels) == 4, phase
    assert 0 <= scrape.get('lmtpq_delivery_seconds_sum', **labels) < LIMIT, phase
  assert scrape.get('lmtpq_input_seconds_count') == 2


def test_large_messages_are_spooled(daemon):
  before, received = daemon.scrape(), daemon.received
  assert daemon.deliver('plain', 'alice', body=(b'x' * 70 + b'\r\n') * 5000) == ['250']
  after = daemon.scrape()
  assert after.get('lmtpq_messages_spooled_total') == 1
  assert (after.get('lmtpq_message_bytes_total') - before.get('lmtpq_message_bytes_total')
          == daemon.received - received)


def test_a_store_out_of_reach_is_down(daemon):
  assert daemon.deliver('dead', 'alice') == ['451']
  dead = f'destination=unix:{daemon.folder}/nobody'
  check(daemon.scrape(), {
      'lmtpq_deliveries_total{destination=none,outcome=deferred,reason=unreachable}': 1,
      f'lmtpq_dials_total{{{dead},result=unreachable}}': 1,
      f'lmtpq_store_up{{{dead}}}': 0,
      f'lmtpq_deliveries_total{{{dead},outcome=sent}}': 0,
      f'lmtpq_store_up{{destination={daemon.store.address}}}': 1,
  })


def test_tls_that_fails_counts(daemon):
  assert daemon.deliver('tls', 'alice') == ['451']
  port = daemon.dying.address.rpartition(':')[2]
  check(daemon.scrape(), {
      f'lmtpq_dials_total{{destination=inet:localhost:{port},result=tls}}': 1,
      'lmtpq_deliveries_total{destination=none,outcome=deferred,reason=tls}': 1,
  })


def test_a_store_that_dies_after_the_end_of_data_is_a_possible_duplicate(daemon):
  assert daemon.deliver('dying', 'alice', 'bob', body=b'gr\xfcn\r\n') == ['451', '451']
  dying = f'destination={daemon.dying.address}'
  check(daemon.scrape(), {
      f'lmtpq_possible_duplicates_total{{{dying}}}': 2,
      f'lmtpq_deliveries_total{{{dying},outcome=deferred,reason=uncertain}}': 2,
      'lmtpq_replies_lost_total': 0,
      'lmtpq_reliefs_total{kind=utf8_headers}': 3,
      'lmtpq_reliefs_total{kind=8bit}': 2,
  })
  assert daemon.process.log_text().count('possible duplicate') == 2


def test_a_client_that_has_gone_before_mail_is_a_reason_and_no_lost_reply(daemon):
  daemon.dying.greets.clear()
  client, message = daemon.dial('dying'), Message(['alice'])
  client.envelope(message)
  client.send(message.text() + b'.\r\n')
  daemon.received += len(message.text())
  wait_until(lambda: daemon.scrape().get(
      'lmtpq_pool_connections', destination=daemon.dying.address, state='dialling') == 1,
             'the store is dialled')
  client.close()
  daemon.dying.greets.set()
  wait_until(lambda: daemon.scrape().get(
      'lmtpq_deliveries_total', destination='none', outcome='deferred', reason='client_gone') == 1,
             'it is counted')
  check(daemon.scrape(), {'lmtpq_replies_lost_total': 0})


def test_gauges_follow_a_message_in_progress(daemon):
  daemon.dying.slow.set()
  client, message = daemon.dial('dying'), Message(['alice'])
  client.envelope(message)
  client.send(message.text() + b'.\r\n')
  daemon.received += len(message.text())
  assert daemon.dying.taken.wait(LIMIT)
  dying = f'destination={daemon.dying.address}'
  listener = f'listener=unix:{daemon.folder}/dying'
  wait_until(lambda: daemon.scrape().get(
      'lmtpq_pool_connections', destination=daemon.dying.address, state='leased') == 1,
             'the store has the message')
  check(daemon.scrape(), {f'lmtpq_clients{{{listener}}}': 1, f'lmtpq_pool_waiting{{{dying}}}': 0})
  client.close()  # before it has the reply
  daemon.dying.answer.set()
  wait_until(lambda: daemon.scrape().get(
      'lmtpq_clients', listener=f'unix:{daemon.folder}/dying') == 0, 'the client has gone')
  check(daemon.scrape(), {
      'lmtpq_replies_lost_total': 1,
      f'lmtpq_pool_connections{{{dying},state=leased}}': 0,
      f'lmtpq_deliveries_total{{{dying},outcome=sent}}': 1,
  })


def test_refused_clients_count_by_reason(daemon):
  assert daemon.dial('closed').greeting.startswith('421 4.7.1 ')
  check(daemon.scrape(), {'lmtpq_clients_refused_total{reason=not_allowed}': 1,
                          'lmtpq_clients_refused_total{reason=too_many}': 0})


def test_the_table_has_the_figures(daemon):
  shown = daemon.status()
  assert (shown.returncode, shown.stderr) == (0, '')
  text = re.sub(r' +\d+\.\d +(-|\d+ ms|[\d.]+ s)$', ' RATES', shown.stdout, flags=re.M)
  text = text.replace(f'{daemon.folder}/', '').replace(daemon.dying.address, 'DYING')
  text = text.replace(daemon.dying.address.replace('127.0.0.1', 'localhost'), 'TLS')
  lines = [' '.join(line.split()) for line in text.splitlines()]
  assert re.fullmatch(rf'lmtpq {re.escape(VERSION)} pid {daemon.process.pid} up \d\d:\d\d:\d\d reloads 0', lines[0])
  size = f'{daemon.received / 1024:.1f} KiB'
  assert lines[1] == f'messages 8 ({size}, 1 spooled) waiting for a mailbox 0'
  assert lines[2] == 'possible duplicates 2 replies lost 1 log lines dropped 0'
  assert lines[4:12] == [
      'LISTENER CLIENTS', 'plain unix:plain 0', 'quota unix:quota 0', 'dead unix:dead 0',
      'dying unix:dying 0', 'closed unix:closed 0', 'tls unix:tls 0', 'all 0 of 50']
  wanted = {
      'DYING up tls=none auth=none': '0 1 0 7 0 1 2 0 RATES',
      'unix:store/lmtp up tls=none auth=none': '0 1 0 7 0 3 1 1 RATES',
      'none up': '0 0 0 0 0 0 3 0 RATES',
  }
  for head, figures in wanted.items():
    assert head in lines, f'{head!r} is not among {lines}'
    assert lines[lines.index(head) + 1] == figures, head
  down = [i for i, line in enumerate(lines)
          if re.fullmatch(r'unix:nobody (down, retry in \d+ s|down, being tried)', line)]
  assert len(down) == 1, lines
  assert 'No such file' in lines[down[0] + 1], lines[down[0] + 1]
  assert lines[down[0] + 2] == '0 0 0 7 0 0 0 0 RATES'
  assert all(len(line) <= 80 for line in shown.stdout.splitlines()), shown.stdout


def test_json_has_the_same(daemon):
  shown = json.loads(daemon.status('--json').stdout)
  store = next(store for store in shown['stores'] if store['destination'] == daemon.store.address)
  assert (shown['messages'], shown['clients'], shown['most_clients']) == (8, 0, 50)
  assert (store['sent'], store['deferred'], store['refused']) == (3, 1, 1)
  assert (store['limit'], store['up'], store['failure']) == (7, True, '')
  down = next(store for store in shown['stores']
              if store['destination'] == f'unix:{daemon.folder}/nobody')
  assert not down['up'] and 'No such file' in down['failure'], down
  assert down['retry_in'] >= 0, down


def test_the_control_socket_is_for_its_group(daemon):
  assert stat.S_IMODE((daemon.folder / 'control').stat().st_mode) == 0o660


def test_a_status_client_that_does_not_read_delays_no_other(daemon):
  silent = []
  for _ in range(20):
    silent.append(socket.socket(socket.AF_UNIX))
    silent[-1].connect(f'{daemon.folder}/control')
  # The daemon waits ten seconds for each at most: two hundred if one held up the next.
  began = time.monotonic()
  assert daemon.status().returncode == 0
  assert daemon.deliver('plain', 'alice') == ['250']
  assert time.monotonic() - began < 15, 'it took too long'
  for one in silent:
    one.close()


@pytest.fixture
def wide(scratch, lmtpq, daemon):
  """A daemon whose status is larger than a socket's buffer, and whose metrics are at a unix socket."""
  folder = scratch.folder('wide')
  listeners = ''.join(f'[listener.{"x" * 3000}{number}]\naddress = unix:{folder}/{number}\n'
                      for number in range(300))
  made = Serve(folder / 'serve', f'metrics = unix:{folder}/metrics\n'
               f'destination = {daemon.store.address}\n{listeners}', lmtpq)
  made.start()
  yield made
  made.stop()


def dialled(path) -> socket.socket:
  made = socket.socket(socket.AF_UNIX)
  made.settimeout(LIMIT)
  made.connect(str(path))
  return made


def everything(client: socket.socket) -> bytes:
  return b''.join(iter(lambda: client.recv(65536), b''))


def test_status_clients_that_leave_a_large_answer_unread_delay_no_other(wide):
  with dialled(wide.folder / 'control') as client:
    whole = len(everything(client))
  assert whole > 900_000, 'more than the buffers hold'
  silent = [dialled(wide.folder / 'control') for _ in range(20)]
  began = time.monotonic()
  with dialled(wide.folder / 'control') as client:  # without the five seconds' patience of --status
    assert len(json.loads(everything(client))['listeners']) == 300
  # Ten seconds for each would be two hundred.
  assert time.monotonic() - began < 35, 'it took too long'
  # Eight at a time: of the others each has made room. Those eight had ten seconds each.
  sizes = [len(everything(one)) for one in silent]
  assert max(sizes[:20 + 1 - 8]) < whole / 2, sizes
  for one in silent:
    one.close()


def get(client: socket.socket) -> bytes:
  with client:
    client.sendall(b'GET /metrics HTTP/1.1\r\nHost: lmtpq\r\n\r\n')
    return everything(client)


def test_metrics_are_served_at_a_unix_socket_as_well(wide):
  path = wide.folder.parent / 'metrics'
  assert stat.S_IMODE(path.stat().st_mode) == 0o660
  answer = get(dialled(path))
  assert answer.startswith(b'HTTP/1.1 200 OK\r\n') and b'\nlmtpq_build_info{' in answer
  wide.stop()
  assert not path.exists(), 'it goes with the daemon'


@pytest.mark.parametrize('number', [20, 200])
def test_clients_that_drip_delay_no_scrape(daemon, number):
  address = ('127.0.0.1', daemon.port)
  slow = [socket.create_connection(address, LIMIT) for _ in range(number)]
  over = threading.Event()

  def drip():
    while not over.wait(0.2):
      for one in slow:
        with contextlib.suppress(OSError):
          one.send(b'G')
  dripping = threading.Thread(target=drip)
  dripping.start()
  try:
    began = time.monotonic()
    for _ in range(5):
      answer = get(socket.create_connection(address, LIMIT))
      assert answer.startswith(b'HTTP/1.1 200 OK\r\n'), answer[:80]
    # Two seconds for each of them would be forty, or ten times that.
    assert time.monotonic() - began < 20, 'it took too long'
  finally:
    over.set()
    dripping.join()
  # A new client takes the place of the oldest, so there are never many.
  check(daemon.scrape(), {'lmtpq_memory_refused_total': 0})
  open_now = daemon.scrape().get('process_open_fds')
  assert open_now < 80, f'{open_now} descriptors'
  for one in slow:
    one.close()


def test_on_a_terminal_it_is_live_until_q(daemon):
  master, slave = pty.openpty()
  shown = subprocess.Popen([daemon.process.program, 'serve', '--config', '/dev/null', '--status',
                            '--control', f'{daemon.folder}/control'],
                           stdin=slave, stdout=slave, stderr=slave)
  os.close(slave)
  text = b''
  while b'answer' not in text:
    assert select.select([master], [], [], LIMIT)[0], text
    text += os.read(master, 65536)
  os.write(master, b'q')
  assert shown.wait(LIMIT) == 0
  os.close(master)
  assert text.startswith(b'\x1b[H\x1b[2Jlmtpq '), text[:20]


def processor_ticks(pid) -> list[int]:
  """In user and in kernel mode."""
  return [int(word) for word in Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[11:13]]


def test_the_process_metrics_are_those_of_the_kernel(daemon):
  pid = daemon.process.pid
  # Enough of both for the sum to be told from either.
  wait_until(lambda: daemon.scrape() and min(processor_ticks(pid)) > 1, 'it has worked')
  least = sum(processor_ticks(pid))
  scrape = daemon.scrape()
  most = sum(processor_ticks(pid))
  # The kernel rounds both parts of it down.
  ticks = scrape.get('process_cpu_seconds_total') * os.sysconf('SC_CLK_TCK')
  assert least <= ticks <= most + 2
  assert 0 < time.time() - scrape.get('process_start_time_seconds') < 3600
  assert scrape.get('process_max_fds') == resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
  assert 0 < scrape.get('process_resident_memory_bytes') < scrape.get('process_virtual_memory_bytes')
  # Of clients that have left some may be open still. A scrape has one connection itself.
  wait_until(lambda: daemon.scrape().get('process_open_fds') == len(os.listdir(f'/proc/{pid}/fd')) + 1,
             'all descriptors are counted')


def test_a_tag_counts_once_for_a_message_in_several_parts(daemon):
  """One of its recipients is refused by the routes, the others are on two stores."""
  daemon.dying.slow.set()
  daemon.dying.answer.set()
  assert (daemon.deliver('plain', 'alice', 'moved', 'elsewhere', header=b'X-LMTPQ-Tag: broken\r\n')
          == ['250', '550', '250'])
  daemon.dying.slow.clear()
  check(daemon.scrape(), {'lmtpq_tags_total{verdict=malformed}': 1,
                          'lmtpq_tags_total{verdict=valid}': 0})
  assert daemon.process.count('event=tag-rejected') == 1


def test_reloads_count_and_log_what_changed(daemon):
  daemon.configure('[listener.extra]\naddress = unix:%s/extra\n' % daemon.folder)
  daemon.reload()
  assert daemon.process.log_lines(f'listener=unix:{daemon.folder}/extra')
  assert daemon.process.log_lines('change=new')
  daemon.configure('no such line')
  daemon.reload()
  check(daemon.scrape(), {'lmtpq_reloads_total{result=good}': 1,
                          'lmtpq_reloads_total{result=failed}': 1,
                          f'lmtpq_clients{{listener=unix:{daemon.folder}/extra}}': 0})
  daemon.configure()
  daemon.reload()
  assert re.search(r'listener=unix:\S+/extra change=gone', daemon.process.log_text())
  check(daemon.scrape(), {f'lmtpq_clients{{listener=unix:{daemon.folder}/extra}}': None})


def test_nothing_but_metrics_is_served(daemon):
  with socket.create_connection(('127.0.0.1', daemon.port), LIMIT) as client:
    client.sendall(b'GET /../../../../etc/passwd HTTP/1.0\r\n\r\n')
    answer = b''.join(iter(lambda: client.recv(65536), b''))
  assert answer.split()[1][:1] == b'4' and b'root:' not in answer, answer
  for request, status in ('HEAD /metrics', b'200'), ('POST /metrics', b'404'), ('GET /', b'404'):
    with socket.create_connection(('127.0.0.1', daemon.port), LIMIT) as client:
      client.sendall(f'{request} HTTP/1.1\r\nHost: lmtpq\r\nContent-Length: 0\r\n\r\n'.encode())
      head, _, body = everything(client).partition(b'\r\n\r\n')
    assert head.split()[1] == status and b'\r\nConnection: close' in head, (request, head)
    assert b'\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8' in head, (request, head)
    assert body == (b'' if status == b'200' else b'The metrics are at /metrics.\n'), (request, body)


def documented(text):
  return set(re.findall(r'^\| `((?:lmtpq|process)_\w+)` \|', text, re.M))


def expressions(tree):
  if isinstance(tree, dict):
    for key, value in tree.items():
      if key in ('expr', 'definition'):
        yield value
      else:
        yield from expressions(value)
  elif isinstance(tree, list):
    for value in tree:
      yield from expressions(value)


def test_metrics_md_names_exactly_the_metrics_there_are(daemon):
  scrape = daemon.scrape()
  text = (ROOT / 'docs/METRICS.md').read_text()
  exposed = {family(name, scrape.types) for name, _ in scrape.samples}
  assert exposed - scrape.helped == set(), 'without help'
  assert exposed - documented(text) == set(), 'not in METRICS.md'
  assert documented(text) - exposed == set(), 'in METRICS.md only'
  for name, labels in re.findall(r'^\| `((?:lmtpq|process)_\w+)` \| ([^|]*)\|', text, re.M):
    assert scrape.labels(name) - {'le'} == set(labels.replace(',', ' ').split()), name
  words = {dict(found)['reason'] for name, found in scrape.samples
           if name == 'lmtpq_deliveries_total' and 'reason' in dict(found)}
  assert {word for word in words if f'`{word}`' not in text} == set(), 'reasons not in METRICS.md'


def uses(text, scrape):
  """What an expression of PromQL names: the families, and the labels that it asks for."""
  for name, labels in re.findall(r'\b((?:lmtpq|process)_\w+)(\{[^}]*\})?', text):
    yield family(name, scrape.types), set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)', labels))


def test_dashboard_and_alerts_use_the_metrics_there_are(daemon):
  scrape = daemon.scrape()
  exposed = {family(name, scrape.types) for name, _ in scrape.samples}
  dashboard = list(expressions(json.loads((ROOT / 'dist/grafana/lmtpq.json').read_text())))
  alerts = re.search(r'```yaml\n(.*?)```', (ROOT / 'docs/METRICS.md').read_text(), re.S).group(1)
  assert len(dashboard) > 30, 'the dashboard is empty'
  used = set()
  alerts = re.findall(r'expr: (?:>\n)?(.*?)\n +(?:for|annotations):', alerts, re.S)
  for text in [*dashboard, *alerts]:
    for name, labels in uses(text, scrape):
      assert name in exposed, f'{name} in {text!r} does not exist'
      assert labels - scrape.labels(name) - {'instance', 'job'} == set(), f'labels of {name}'
      used.add(name)
  ours = {name for name in exposed if name.startswith('lmtpq_')}
  assert ours - used == set(), 'neither in the dashboard nor in the alerts'


def test_without_a_daemon_the_status_is_69(daemon):
  path = f'{daemon.folder}/nowhere'
  shown = daemon.status('--control', path)
  assert (shown.returncode, shown.stdout) == (69, '')
  assert shown.stderr == f'lmtpq: no daemon answers at {path}: No such file or directory; '\
        'start it, or name its socket by --control\n'


def test_an_address_that_cannot_be_used_stops_the_start(daemon):
  for options, words in {
      ('--metrics', '9024'): '"9024": expected ADDRESS:PORT',
      ('--metrics', 'unix:metrics'): '"unix:metrics": expected ADDRESS:PORT',
      ('--metrics', f'127.0.0.1:{daemon.port}'): f'--metrics: "127.0.0.1:{daemon.port}": cannot listen: ',
      ('--control', f'{daemon.folder}/no/control'): '--control: unix:',
      ('--control', f'{daemon.folder}/control'): '--control: unix:',
  }.items():
    more = [] if '--control' in options else ['--control', f'{daemon.folder}/control2']
    ended = subprocess.run([daemon.process.program, 'serve', '--config', '/dev/null', '--log',
                            'stderr', '--tag-keys', 'none', *options, *more, '--listen',
                            f'unix:{daemon.folder}/another', daemon.store.address],
                           capture_output=True, text=True, timeout=LIMIT)
    assert ended.returncode == 78, options
    assert words in ended.stderr, f'{options}: {ended.stderr!r}'


def test_the_control_socket_goes_with_the_daemon(daemon):
  daemon.process.terminate()
  assert daemon.process.wait() == 0
  assert not (daemon.folder / 'control').exists()
