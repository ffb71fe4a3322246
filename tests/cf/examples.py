"""The .mc files of cf/examples."""

from fixtures.paths import ROOT

from .configuration import Cf, Configuration

EXAMPLES = ROOT / 'cf' / 'examples'
NAMES = sorted(path.stem for path in EXAMPLES.glob('*.mc'))


def example(cf: Cf, name: str) -> Configuration:
  return cf.make((EXAMPLES / f'{name}.mc').read_text(), tree=cf.installed)
