"""verdict(): for a script whose checks are known only when it has run."""

import pytest


@pytest.fixture
def verdict(request):
  """verdict(name, why): reports one more case of this test, failed unless `why` is empty."""
  item = request.node

  def report(name: str, why: str):
    def judge():
      if why:
        pytest.fail(f'{name}: {why}')
    made = pytest.TestReport.from_item_and_call(item, pytest.CallInfo.from_call(judge, 'call'))
    made.case = f'{item.nodeid}: {name}'
    item.ihook.pytest_runtest_logreport(report=made)
  return report
