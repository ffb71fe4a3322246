"""FEATURE(lmtpq_milter) in an .mc with other filters and macros, included in every way there is."""

import re

from fixtures.paths import ROOT

from .configuration import BANNER, INCLUDE, MILTER, STOCK, TREE, define, feature, mc

DEFAULT = 'Xlmtpq, S=unix:/run/lmtpq/milter.sock, T=C:5s;S:5s;R:10s;E:15s'
MACROS = {'connect': 'j, _, {daemon_name}, {if_name}, {if_addr}, {client_addr}',
          'helo': '{tls_version}, {cipher}, {cipher_bits}, {cert_subject}, {cert_issuer}',
          'envfrom': 'i, {auth_type}, {auth_authen}, {auth_ssf}, {auth_author}, {mail_mailer}, '
                     '{mail_host}, {mail_addr}, {verify}, {cert_subject}, {client_addr}',
          'envrcpt': '{rcpt_mailer}, {rcpt_host}, {rcpt_addr}',
          'eom': '{msg_id}, i, {msg_size}', 'eoh': '', 'data': ''}


class TestMilterMacros:
  def assert_macros(self, cf, knobs: str, **expected: str):
    made = cf.make(mc(knobs))
    for stage, names in (MACROS | expected).items():
      assert made.option(f'Milter.macros.{stage}') == names, f'{stage}: {knobs}'
    assert made.ask() == BANNER

  def test_are_added_to_the_defaults(self, cf):
    self.assert_macros(cf, feature())

  def test_are_added_to_what_the_admin_has(self, cf):
    self.assert_macros(
        cf, define('confMILTER_MACROS_CONNECT', 'j, t, b') +
        define('confMILTER_MACROS_ENVRCPT', '{rcpt_host}') +
        "define(`confMILTER_MACROS_EOM', confMILTER_MACROS_EOM`, {ntries}')\n" + feature(),
        connect='j, t, b, {client_addr}', envrcpt='{rcpt_host}, {rcpt_mailer}, {rcpt_addr}',
        eom='{msg_id}, {ntries}, i, {msg_size}')

  def test_are_not_doubled(self, cf):
    self.assert_macros(
        cf, define('confMILTER_MACROS_CONNECT', '{client_addr}, j') +
        define('confMILTER_MACROS_ENVRCPT', '{rcpt_addr} {rcpt_mailer}') +
        define('confMILTER_MACROS_EOM', '{msg_size},\n  i') + feature(),
        connect='{client_addr}, j', envrcpt='{rcpt_addr} {rcpt_mailer}', eom='{msg_size},')

  def test_whose_name_is_a_part_of_another_are_not_missed(self, cf):
    self.assert_macros(cf, define('confMILTER_MACROS_EOM', '{i}, {msg_size_x}, j') + feature(),
                       eom='{i}, {msg_size_x}, j, i, {msg_size}')

  def test_are_added_where_the_admin_took_all_away(self, cf):
    self.assert_macros(cf, define('confMILTER_MACROS_EOM', '') +
                       "undefine(`confMILTER_MACROS_ENVRCPT')\n" + feature(),
                       eom='i, {msg_size}', envrcpt='{rcpt_mailer}, {rcpt_addr}')

  def test_can_be_added_to_below(self, cf):
    self.assert_macros(
        cf, feature() + "define(`confMILTER_MACROS_EOM', confMILTER_MACROS_EOM`, {ntries}')\n",
        eom=MACROS['eom'] + ', {ntries}')

  def test_are_all_that_the_milter_asks_for(self, cf):
    asked = re.findall(r'\{SMFIM_([A-Z]+), "([^"]*)"\}',
                       (ROOT / 'milter' / 'mta_macros.cpp').read_text())
    made = cf.make(mc(feature()))
    stages = set()
    for stage, names in asked:
      listed = made.option(f'Milter.macros.{stage.lower()}')
      if stage != 'EOH':  # only there so that Sendmail uses the list of EOM
        assert set(names.split()) - set(listed.split(', ')) == set(), stage
        stages.add(stage)
    assert stages == {'CONNECT', 'ENVFROM', 'ENVRCPT', 'EOM'}


class TestOtherFilters:
  BEFORE = "INPUT_MAIL_FILTER(`first', `S=unix:/first, F=T')\n"
  AFTER = "INPUT_MAIL_FILTER(`last', `S=inet:1@127.0.0.1')\n"
  X_BEFORE, X_AFTER = 'Xfirst, S=unix:/first, F=T', 'Xlast, S=inet:1@127.0.0.1'

  def assert_filters(self, cf, knobs: str, order: str, *lines: str):
    made = cf.make(mc(knobs))
    assert made.option('InputMailFilters') == order, knobs
    assert made.lines('X') == list(lines), knobs
    assert made.ask() == BANNER, knobs

  def test_keep_their_places_before_it_and_after_it(self, cf):
    self.assert_filters(cf, self.BEFORE + feature(), 'first, lmtpq', self.X_BEFORE, DEFAULT)
    self.assert_filters(cf, feature() + self.AFTER, 'lmtpq, last', DEFAULT, self.X_AFTER)
    self.assert_filters(cf, self.BEFORE + feature() + self.AFTER, 'first, lmtpq, last',
                        self.X_BEFORE, DEFAULT, self.X_AFTER)

  def test_can_be_put_in_order_by_name_below_it(self, cf):
    self.assert_filters(
        cf, self.BEFORE + feature() + self.AFTER +
        define('confINPUT_MAIL_FILTERS', 'last, first, lmtpq'),
        'last, first, lmtpq', self.X_BEFORE, DEFAULT, self.X_AFTER)

  def test_can_be_put_in_order_by_name_above_it(self, cf):
    first = self.BEFORE.replace('INPUT_', '')
    self.assert_filters(cf, define('confINPUT_MAIL_FILTERS', 'lmtpq;first') + first + feature(),
                        'lmtpq;first', self.X_BEFORE, DEFAULT)
    self.assert_filters(cf, define('confINPUT_MAIL_FILTERS', 'first') + first + feature(),
                        'first, lmtpq', self.X_BEFORE, DEFAULT)

  def test_with_a_name_like_ours_are_not_taken_for_it(self, cf):
    self.assert_filters(cf, "INPUT_MAIL_FILTER(`xlmtpq', `S=unix:/x')\n" + feature(),
                        'xlmtpq, lmtpq', 'Xxlmtpq, S=unix:/x', DEFAULT)

  def test_may_be_alone_in_the_list_when_a_daemon_names_ours(self, cf):
    daemon = "DAEMON_OPTIONS(`Name=MTA, InputMailFilters=first;lmtpq')\n"
    self.assert_filters(cf, self.BEFORE + feature() + daemon +
                        define('confINPUT_MAIL_FILTERS', 'first'), 'first', self.X_BEFORE, DEFAULT)


class TestWaysToIncludeTheMilter:
  """Each way that cf/README.md names."""
  KNOBS = define('LMTPQ_MILTER_SOCKET', 'inet:8891@127.0.0.1') + define('LMTPQ_MILTER_FAILURE', 'T')
  ARGUMENTS = ('inet:8891@127.0.0.1', 'T')
  EXPECTED = 'Xlmtpq, S=inet:8891@127.0.0.1, F=T, T=C:30s;S:10s;R:30s;E:1m'

  def assert_filter(self, cf, text: str, *options: str, **place):
    made = cf.make(text, *options, **place)
    assert made.lines('X') == [self.EXPECTED]
    assert made.option('InputMailFilters') == 'lmtpq'
    for stage, names in MACROS.items():
      assert made.option(f'Milter.macros.{stage}') == names
    assert made.ask() == BANNER
    return made

  def test_feature_with_a_way_out_of_the_tree(self, cf):
    text = mc(feature(*self.ARGUMENTS))
    self.assert_filter(cf, text)
    self.assert_filter(cf, text, f'-D_CF_DIR_={TREE}/')
    # As Sendmail's own Makefile does, which is there.
    self.assert_filter(cf, text, tree='..', folder=TREE / 'cf')

  def test_feature_with_a_link_in_the_tree(self, cf):
    tree = cf.linked_tree('tree-feature', MILTER)
    text = mc("FEATURE(`lmtpq_milter', `inet:8891@127.0.0.1', `T')\n")
    self.assert_filter(cf, text, tree=str(tree))
    self.assert_filter(cf, text, f'-D_CF_DIR_={tree}/')

  def test_include_with_its_arguments_as_knobs(self, cf):
    include = f"include(`{MILTER}')\n"
    self.assert_filter(cf, mc(self.KNOBS + include))
    self.assert_filter(cf, mc(self.KNOBS + include), tree='..', folder=TREE / 'cf')
    self.assert_filter(cf, mc(self.KNOBS + f"PUSHDIVERT(-1)include(`{MILTER}')POPDIVERT\n"))
    self.assert_filter(cf, mc(self.KNOBS + f"PUSHDIVERT(7)include(`{MILTER}')POPDIVERT\n"))

  def test_include_takes_no_arguments_of_an_earlier_feature(self, cf):
    text = mc(self.KNOBS + "FEATURE(`access_db', `hash -T<TMPF> /a')\n" + f"include(`{MILTER}')\n")
    self.assert_filter(cf, text)

  def test_include_before_and_after_our_mailers_and_the_stock_one(self, cf):
    include = f"include(`{MILTER}')\n"
    other = define('LMTPQ_TAG_MAILER', 'relay')
    for knobs, mailer in ((self.KNOBS, INCLUDE), (self.KNOBS + other, STOCK),
                          (self.KNOBS + other, '')):
      plain = cf.make(mc('', mailer))
      for text in (mc(knobs + include, mailer), mc(knobs, mailer + include)):
        made = self.assert_filter(cf, text)
        for name in ('cyrusv2', 'cyrusv2q') if mailer == INCLUDE else ():
          assert made.line(name) == plain.line(name)

  def test_an_m4_that_is_not_gnu(self, cf):
    options = ('-G', '-D_NO_MAKEINFO_', f'-D_CF_DIR_={TREE}/')
    self.assert_filter(cf, mc(feature(*self.ARGUMENTS)), *options)
    # There unix is a macro, which is nothing.
    assert cf.make(mc(feature()), *options).lines('X') == [DEFAULT]
