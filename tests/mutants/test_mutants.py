"""The tool of `make mutants`: what it changes in a source, and what it reports."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from fixtures.paths import ROOT
from fixtures.process import become_reaper, wait_until
from mutants.places import places_of
from mutants.suites import Suite, in_order, own_tests, suites_of
from mutants.tree import Tree

RUN = ROOT / 'tests/mutants/run'


def mutants_of(text: str) -> set[str]:
  return {place.mutant(text) for place in places_of('common/x.cpp', text)}


@pytest.mark.parametrize('text, mutants', [
    ('return a < b;', {'return a <= b;'}),
    ('return a >= b;', {'return a > b;'}),
    ('return a == b;', {'return a != b;'}),
    ('return true;', {'return false;'}),
    ('return a && b;', {'return a || b;'}),
    ('return a + b;', {'return a - b;'}),
    ('return std::min(a, b);', {'return std::max(a, b);'}),
    ('++count_;', {'--count_;'}),
    ('return !found;', {'return found;'}),
    ('if (found) {', {'if (!(found)) {'}),
    ('while (more(x)) {', {'while (!(more(x))) {'}),
    ('if (const int x = f(); x & 1) {', {'if (const int x = f(); !(x & 1)) {'}),
    ('if (a == b) {', {'if (a != b) {'}),
    ('if (!found) {', {'if (found) {'}),
    ('{\n  log.write(line, f(x));\n}', {'{\n  ;\n}'}),
    ('{\n  record.add("a", a)\n      .add("b", b[0]);\n}', {'{\n  ;\n}'}),
], ids=lambda value: value if isinstance(value, str) else '')
def test_each_place_has_its_mutants(text, mutants):
  assert mutants_of(text) == mutants


@pytest.mark.parametrize('text', [
    '// true && a < b',
    '/* a < b\n   while (true) */',
    'f("a < b && true", \'<\', "\\" + true");',
    'R"(a < b true)"',
    'R"x(a < b)" + true)x"',
    '#define FULL(a, b) a < b || \\\n  true',
    "const int n = 1'000;",
    'std::vector<std::pair<int, int>> pairs;',
    'text << value;',
    'T&& value',
    'pointer->name',
    '{\n  const std::lock_guard lock(mutex_);\n}',
    '{\n  throw ConfigError(text);\n}',
    '{\n  lines.reserve(lines.size());\n}',
    'if (Turn* const turn = next()) {',
    'const bool late = Clock::now() >= deadline;',
    'text = "a" + name + other;',
])
def test_what_has_no_mutants(text):
  assert mutants_of(text) == set()


def test_a_mutant_differs_in_one_place_which_the_report_names():
  text = 'bool full() {\n  // a < b\n  return a < b;\n}\n'
  (place,) = places_of('common/x.cpp', text)
  assert place.key(text) == 'common/x.cpp:3:12: < -> <='
  assert place.diff(text) == ['-  return a < b;', '+  return a <= b;']


def test_suites_of_the_mutated_part_are_first():
  suites = suites_of(ROOT / 'tests/check.suites')
  def titles(name):
    return [suite.title for suite in in_order(suites, name)]
  assert 'floors' not in titles('milter/xtext.cpp')
  assert titles('mailer/secure/tls_layer.cpp').index('attacks on TLS and login') < \
      titles('mailer/secure/tls_layer.cpp').index('daemon behaviour')
  assert titles('mailer/serve/daemon.cpp').index('daemon behaviour') < \
      titles('mailer/serve/daemon.cpp').index('attacks on TLS and login')
  own = [suite.command for suite in own_tests('milter/xtext.cpp', ROOT)]
  assert own[0] == '${BUILD}/tests/milter_unit_tests XtextTest'
  assert len(own) > 3, 'with those of its folder'


def test_a_suite_changes_with_the_folder_of_its_tests():
  folders = {suite.title: suite.folders for suite in suites_of(ROOT / 'tests/check.suites')}
  assert folders['milter without memory'] == ['tests/milter', 'tests/fixtures', 'tests/peers']
  assert folders['dialogues'] == ['tests/dialogues']
  assert all((ROOT / folder).is_dir() for found in folders.values() for folder in found)


def test_a_suite_that_hangs_has_failed_and_leaves_no_process(tmp_path):
  suite = Suite('sleeps', f'sleep 600 & echo $! >{tmp_path}/pid; wait', seconds=0.1)
  assert 'took more than 2 s' in suite.run(tmp_path, 'build', patience=2)
  pid = (tmp_path / 'pid').read_text().strip()
  assert subprocess.run(['kill', '-0', pid], stderr=subprocess.DEVNULL).returncode != 0


def test_an_interrupted_build_leaves_no_compiler(tmp_path):
  pid = tmp_path / 'pid'
  (tmp_path / 'Makefile').write_text(f'all:\n\tsleep 600 & echo $$! >{pid}.new; mv {pid}.new {pid}; wait\n')
  become_reaper()
  interrupt = threading.Thread(target=lambda: (wait_until(pid.exists, 'a compiler'),
                                               os.kill(os.getpid(), signal.SIGINT)))
  interrupt.start()
  with pytest.raises(KeyboardInterrupt):
    Tree(tmp_path, tmp_path).make('all')
  interrupt.join()
  assert not Path(f'/proc/{pid.read_text().strip()}').exists()


def test_what_fails_once_because_of_other_load_has_not_failed(tmp_path):
  once = Suite('once', f'[ -e {tmp_path}/ran ] || {{ touch {tmp_path}/ran; false; }}')
  assert once.complaint(tmp_path, 'build') == ''
  assert Suite('always', 'echo "FAILED x - y"; false').complaint(tmp_path, 'build') == 'x - y'


@pytest.fixture
def toy(tmp_path):
  """A product of two functions, and a suite that tests one of them."""
  files = {
      'Makefile': 'tests: $(BUILD)/tests/limits\n'
                  '$(BUILD)/tests/limits: common/limit.cpp tests/limits.cpp\n'
                  '\tmkdir -p $(@D); g++ -O1 $^ -o $@\n',
      'common/limit.cpp': 'bool full(int used, int most) {\n  return used >= most;\n}\n'
                          'bool nearly(int used, int most) {\n  return used + 1 == most;\n}\n',
      'common/unused.cpp': 'bool unused(int a, int b) {\n  return a == b;\n}\n',
      'tests/limits.cpp': 'bool full(int, int);\n'
                          'int main() { return full(3, 3) && !full(2, 3) ? 0 : 1; }\n',
      'tests/check.suites': '# title: command\njobs: 3\nlimits: ${BUILD}/tests/limits\n',
  }
  for name, text in files.items():
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)

  def run(*options, status: int) -> str:
    made = subprocess.run([RUN, *options], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == status, made.stdout + made.stderr
    assert {name: (tmp_path / name).read_text() for name in files} == files
    return made.stdout
  return run


def test_killed_survived_and_no_mutant(toy):
  said = toy('--at-least', '92', status=1)
  assert 'common/limit.cpp:2:15: >= -> >: killed by limits' in said
  assert 'common/unused.cpp:2:12: == -> !=: no mutant' in said
  report = said[said.index('survivors:'):]
  assert 'common/limit.cpp:5:15: + -> -\n  -  return used + 1 == most;\n  +  return used - 1 == most;' in report
  assert 'common/limit.cpp:5:19: == -> !=' in report
  assert '3 mutants, 1 killed, 2 survived: 33.3 %; 1 others' in report
  # Everything was tried: it reports the same, and other bounds.
  again = toy('--at-least', '33', status=0)
  assert 'killed by limits' not in again
  assert again[again.index('survivors:'):] == report
  assert 'common/limit.cpp:5:19: == -> !=: survived' in toy('--again', status=1)


def test_a_seed_draws_its_mutants_from_the_files_that_are_chosen(toy):
  def tried(*options) -> str:
    said = toy(*options, '--number', '1', '--at-least', '0', status=0)
    return [line.split(' s ')[1] for line in said.splitlines() if 'limit.cpp:' in line and ' s ' in line]
  one = tried('--in', 'common/limit', '--seed', '1')
  assert len(one) == 1
  assert tried('--in', 'common/limit', '--seed', '1') == [], 'it has its number'
  others = [tried('--in', 'common/limit', '--seed', str(seed)) for seed in range(2, 8)]
  assert any(other != one for other in others)


def test_tests_that_fail_without_a_mutant_are_an_error(toy, tmp_path):
  (tmp_path / 'tests/limits.cpp').write_text('int main() { return 1; }\n')
  made = subprocess.run([RUN], cwd=tmp_path, capture_output=True, text=True)
  assert made.returncode == 2
  assert 'the suite "limits" fails without a mutant: exit status 1' in made.stderr
