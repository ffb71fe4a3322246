"""The packages as files: what is in them and with which mode, what they depend on, how the
programs are linked, what lintian says, and whether a second build is equal.

No root, no network. lintian and the libraries are those of this system, so LMTPQ_DEBS is of its
release.
"""

import os
import re
import subprocess

import pytest

from fixtures.paths import ROOT

from .debs import contents, field, packages_in, run, unpack

PACKAGES = ('lmtpq', 'lmtpq-serve', 'lmtpq-milter')
PROGRAMS = {'lmtpq': ('/usr/libexec/lmtpq/lmtpq', '/usr/libexec/lmtpq/lmtpq-secure.so'),
            'lmtpq-serve': ('/usr/libexec/lmtpq/lmtpq-serve',),
            'lmtpq-milter': ('/usr/sbin/lmtpq-milter',)}
THERE = {
    'lmtpq': ('/usr/bin/lmtpq -> ../libexec/lmtpq/lmtpq', '/etc/lmtpq/lmtpq.conf',
              '/usr/share/sendmail/cf/mailer/lmtpq.m4',
              '/usr/share/sendmail/cf/feature/lmtpq_milter.m4',
              '/usr/share/lmtpq/cf/mailer/lmtpq.m4 -> ../../../sendmail/cf/mailer/lmtpq.m4',
              '/usr/share/lmtpq/cf/feature/lmtpq_milter.m4'
              ' -> ../../../sendmail/cf/feature/lmtpq_milter.m4',
              '/usr/share/lmtpq/cf/examples/tagged-notifications.mc',
              '/usr/share/man/man8/lmtpq.8.gz',
              '/usr/share/man/man5/lmtpq.conf.5.gz', '/usr/share/doc/lmtpq/DAEMON.md',
              '/usr/share/doc/lmtpq/INSTALL.md', '/usr/share/doc/lmtpq/CHANGES.md',
              '/usr/share/doc/lmtpq/TLS.md', '/usr/share/doc/lmtpq/README.Debian',
              '/usr/share/bash-completion/completions/lmtpq', '/usr/lib/sysusers.d/lmtpq.conf',
              '/usr/lib/tmpfiles.d/lmtpq.conf'),
    'lmtpq-serve': ('/lib/systemd/system/lmtpq.service', '/lib/systemd/system/lmtpq.socket',
                    '/usr/share/lmtpq/lmtpq.json'),
    'lmtpq-milter': ('/lib/systemd/system/lmtpq-milter.service', '/etc/lmtpq/milter.conf',
                     '/usr/share/man/man8/lmtpq-milter.8.gz',
                     '/usr/share/bash-completion/completions/lmtpq-milter')}
TEXTS = ('.m4', '.mc', '.conf', '.md', '.service', '.socket')
CONFFILES = {'lmtpq': 'lmtpq.conf', 'lmtpq-milter': 'milter.conf'}


def without_usr(path: str) -> str:
  """Units are in /lib before Debian 13, and in /usr/lib from there on."""
  return path.replace('/usr/lib/systemd/', '/lib/systemd/')


@pytest.fixture(scope='module')
def trees(debs, tmp_path_factory):
  """Package -> where it is unpacked."""
  folder = tmp_path_factory.mktemp('unpacked')
  return {name: unpack(file, folder / name) for name, file in debs.items()}


@pytest.mark.parametrize('package', PACKAGES)
class TestContents:
  def test_what_belongs_into_it_is_there(self, debs, package):
    there = {without_usr(path) for path in contents(debs[package])}
    assert set(THERE[package] + PROGRAMS[package]) <= there

  def test_all_is_roots_and_no_mode_is_odd(self, debs, package):
    for path, (mode, owner) in contents(debs[package]).items():
      program = path in PROGRAMS[package]
      assert owner == 'root/root'
      assert mode == {'d': 'drwxr-xr-x', 'l': 'lrwxrwxrwx'}.get(
          mode[0], '-rwxr-xr-x' if program else '-rw-r--r--'), path

  def test_nothing_names_usr_local(self, trees, package):
    for path in trees[package].rglob('*'):
      if path.is_file() and not path.is_symlink() and path.suffix in TEXTS:
        assert '/usr/local' not in path.read_text(), path

  def test_the_scripts_are_sh_and_start_nothing(self, trees, package):
    for name in 'preinst', 'postinst', 'prerm', 'postrm':
      script = trees[package] / 'DEBIAN' / name
      if script.exists():
        run('sh', '-n', script)
        assert not re.search(r'systemctl .*\b(enable|start)\b|deb-systemd-invoke start',
                             script.read_text())

  def test_it_depends_on_what_its_programs_are_linked_to(self, debs, trees, package):
    depends = {part.split()[0] for part in re.split(r'[,|] *', field(debs[package], 'Depends'))}
    for program in PROGRAMS[package]:
      dynamic = run('readelf', '-d', trees[package] / program[1:])
      for name in re.findall(r'NEEDED.*\[(.*)\]', dynamic):
        owners = {line.split(':')[0] for line in run('dpkg', '-S', f'*/{name}').splitlines()}
        assert owners & depends, f'{program} needs {name} of {owners}'

  def test_the_programs_are_hardened_and_stripped(self, trees, package):
    for program in PROGRAMS[package]:
      file = trees[package] / program[1:]
      header, dynamic, loads, symbols, sections = (
          run('readelf', '-W', option, file) for option in ('-h', '-d', '-l', '--dyn-syms', '-S'))
      assert 'DYN (' in header and 'BIND_NOW' in dynamic and 'GNU_RELRO' in loads, program
      assert re.search(r'GNU_STACK +\S+ \S+ \S+ \S+ \S+ RW ', loads), program
      assert '__stack_chk_fail' in symbols, program
      assert '_chk@' in symbols or program.endswith('.so'), program
      assert '.symtab' not in sections and '.debug_info' not in sections, program

  def test_its_debug_symbols_are_those_of_its_programs(self, trees, package):
    for program in PROGRAMS[package]:
      notes = run('readelf', '-n', trees[package] / program[1:])
      number = re.search(r'Build ID: (\w+)', notes).group(1)
      debug = (trees[f'{package}-dbgsym'] / 'usr/lib/debug/.build-id' / number[:2] /
               f'{number[2:]}.debug')
      assert '.debug_info' in run('readelf', '-W', '-S', debug)


class TestTogether:
  def test_what_shares_files_has_one_version(self, debs):
    version = field(debs['lmtpq'], 'Version')
    for package in 'lmtpq-serve', 'lmtpq-milter':
      assert f'lmtpq (= {version})' in field(debs[package], 'Depends')

  def test_no_file_is_in_two_of_them(self, debs):
    found = [path for package in PACKAGES
             for path, (mode, _) in contents(debs[package]).items() if mode[0] != 'd']
    assert len(found) == len(set(found))

  def test_the_programs_name_the_version(self, trees, debs):
    said = run(trees['lmtpq'] / 'usr/libexec/lmtpq/lmtpq', '--version')
    assert said.split()[1] == field(debs['lmtpq'], 'Version')

  def test_the_daemon_and_the_plugin_are_of_one_build(self, trees, debs):
    """`lmtpq serve` finds both beside itself, and refuses another build's."""
    version = re.escape(field(debs['lmtpq'], 'Version')).encode()
    numbers = {re.search(version + b'-[0-9a-f]{16}', (trees[package] / program[1:]).read_bytes())
               .group() for package in ('lmtpq', 'lmtpq-serve') for program in PROGRAMS[package]}
    assert len(numbers) == 1

  def test_lintian_has_neither_error_nor_warning(self, debs):
    folder = debs['lmtpq'].parent
    changes = list(folder.glob('*.changes')) or [debs[name] for name in PACKAGES]
    said = run('lintian', '--fail-on', 'none', '--allow-root', *changes)
    assert not re.findall(r'^[EW]: .*', said, re.MULTILINE)
    assert 'internal error' not in said and 'cannot' not in said.lower()

  @pytest.mark.limit(7200)
  def test_a_second_build_elsewhere_and_later_is_equal(self, debs, tmp_path):
    """Another folder, time zone, language, mask, and no cache of compiled files."""
    build = tmp_path / 'elsewhere' / 'build'
    env = {name: value for name, value in os.environ.items() if not name.startswith('LMTPQ')}
    done = subprocess.run(
        ['sh', '-c', 'umask 027; exec make -s -C "$0" deb BUILD="$1"', ROOT, build], text=True,
        env=env | {'TZ': 'Asia/Kathmandu', 'LC_ALL': 'C', 'CCACHE_DISABLE': '1'}, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-4000:]
    again = packages_in(build / 'deb')
    assert again.keys() == debs.keys()
    assert [name for name, file in debs.items()
            if file.read_bytes() != again[name].read_bytes()] == []


def settings_in(package: str) -> list[tuple[str, str, bool]]:
  """Name and value of each commented setting of a conffile, and whether it is an example."""
  found, example = [], False
  for line in (ROOT / 'dist/etc' / CONFFILES[package]).read_text().splitlines():
    example = line.startswith(('# Example', '#[')) or (example and not re.match('$|# ---', line))
    if setting := re.fullmatch(r'#([a-z-]+) = (.*)', line):
      found.append((*setting.groups(), example))
  return found


class TestConffiles:
  @pytest.mark.parametrize('package', CONFFILES)
  def test_an_untouched_file_says_nothing(self, package):
    text = (ROOT / 'dist/etc' / CONFFILES[package]).read_text()
    assert not [line for line in text.splitlines() if line and not line.startswith('#')]

  @pytest.mark.parametrize('package', CONFFILES)
  def test_it_shows_the_programs_defaults(self, build, package):
    program = [build / 'lmtpq', 'serve'] if package == 'lmtpq' else [build / package]
    texts = {name: ' '.join(text.split()) for name, text in re.findall(
        r'^ +(?:-\w, )?--([a-z-]+)(.*(?:\n {20,}.*)*)', run(*program, '--help=all'), re.MULTILINE)}
    shown = [(name, value) for name, value, example in settings_in(package) if not example]
    assert len(shown) > 4
    assert [(name, value) for name, value in shown if f'default: {value})' not in texts[name] and
            f'default: {value}, if it exists' not in texts[name]] == []

  def test_its_examples_are_accepted(self, build, tmp_path):
    """All of them together, but for the files that they name."""
    for package, name in CONFFILES.items():
      lines = (ROOT / 'dist/etc' / name).read_text().splitlines()
      (tmp_path / name).write_text('\n'.join(
          re.sub(r'^#(?=\[[a-z]+\.[\w.]+\]$|[a-z]+[a-z-]*( List-Unsubscribe)? = )', '', line)
          for line in lines
          if not re.match(r'#(tls-ca-file|auth-password-file|tag-keys|user|pid-file) = ', line)))
    done = subprocess.run(
        [build / 'lmtpq', 'check', '--config', tmp_path / 'lmtpq.conf', '--milter-config',
         tmp_path / 'milter.conf'], text=True, check=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    expected = 'warning', 'No such file or directory', 'has errors, see'
    assert [line for line in done.stdout.splitlines()
            if line.startswith('lmtpq') and not any(text in line for text in expected)] == []
    assert '4 rules' in done.stdout and '2 listeners, 1 stores' in done.stdout, done.stdout


class TestCompletion:
  """What bash offers."""

  def complete(self, build, function: str, *words) -> list[str]:
    text = (f'PATH={build}:$PATH; . {ROOT}/dist/bash-completion/{words[0]}; COMP_WORDS=("$@"); '
            f'COMP_CWORD=$(($# - 1)); {function} {words[0]}; echo "${{COMPREPLY[@]}}"')
    return run('bash', '-c', text, 'complete', *words).split()

  def test_commands(self, build):
    commands = {'relay', 'deliver', 'serve', 'probe', 'check', 'keygen'}
    assert commands <= set(self.complete(build, '_lmtpq', 'lmtpq', ''))

  def test_options_of_a_command(self, build):
    found = self.complete(build, '_lmtpq', 'lmtpq', 'serve', '--max-cl')
    assert set(found) == {'--max-clients', '--max-clients-each'}
    assert self.complete(build, '_lmtpq', 'lmtpq', 'relay', '--max-cl') == []

  def test_options_of_keygen(self, build):
    assert set(self.complete(build, '_lmtpq', 'lmtpq', 'keygen', '--')) == {
        '--install', '--rotate', '--tag-lifetime', '--milter-config'}

  def test_a_value_is_no_option(self, build):
    assert self.complete(build, '_lmtpq', 'lmtpq', 'relay', '--config', '') == []

  def test_options_of_the_milter(self, build):
    assert set(self.complete(build, '_lmtpq_milter', 'lmtpq-milter', '--tag-')) == {
        '--tag-keys', '--tag-mailers', '--tag-lifetime'}
