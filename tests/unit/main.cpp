// Runs every registered suite, or the tests whose name contains the argument, and prints a line
// for each: `ok Suite::test` or `not ok Suite::test: reason`, then the sum.

#include <cppunit/Exception.h>
#include <cppunit/SourceLine.h>
#include <cppunit/Test.h>
#include <cppunit/TestFailure.h>
#include <cppunit/TestListener.h>
#include <cppunit/TestResult.h>
#include <cppunit/extensions/TestFactoryRegistry.h>

#include <iostream>
#include <memory>
#include <string>

namespace {

class Report : public CppUnit::TestListener {
 public:
  void startTest(CppUnit::Test*) override { reason_.clear(); }

  void addFailure(const CppUnit::TestFailure& failure) override {
    const CppUnit::Exception& thrown = *failure.thrownException();
    const CppUnit::SourceLine line = failure.sourceLine();
    reason_ = thrown.message().shortDescription() + ' ' + thrown.message().details();
    for (char& c : reason_) {
      if (c == '\n' || c == '\r') {
        c = ' ';
      }
    }
    if (line.isValid()) {
      reason_ += line.fileName() + ':' + std::to_string(line.lineNumber());
    }
  }

  void endTest(CppUnit::Test* test) override {
    ++(reason_.empty() ? passed_ : failed_);
    std::cout << (reason_.empty() ? "ok " : "not ok ") << test->getName();
    if (!reason_.empty()) {
      std::cout << ": " << reason_;
    }
    std::cout << std::endl;  // a test that ends the process must not take the others' lines along
  }

  bool finish() const {
    std::cout << passed_ << " passed, " << failed_ << " failed" << std::endl;
    return failed_ == 0 && passed_ > 0;
  }

 private:
  std::string reason_;
  int passed_ = 0;
  int failed_ = 0;
};

void run(CppUnit::Test& test, const std::string& part, CppUnit::TestResult& result) {
  for (int i = 0; i < test.getChildTestCount(); ++i) {
    run(*test.getChildTestAt(i), part, result);
  }
  if (test.getChildTestCount() == 0 && test.getName().find(part) != std::string::npos) {
    test.run(&result);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::unique_ptr<CppUnit::Test> all(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
  Report report;
  CppUnit::TestResult result;
  result.addListener(&report);
  run(*all, argc > 1 ? argv[1] : "", result);
  return report.finish() ? 0 : 1;
}
