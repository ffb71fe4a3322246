// A fixture with a scratch folder and the name of a file in it. The folder is made before each test
// and removed with its contents after it.
#pragma once

#include <cppunit/extensions/HelperMacros.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

class ScratchFileFixture : public CppUnit::TestFixture {
 public:
  explicit ScratchFileFixture(std::string name) : name_(std::move(name)) {}

  void setUp() override {
    char folder[] = "/tmp/lmtpq-unit-test-XXXXXX";
    CPPUNIT_ASSERT(mkdtemp(folder) != nullptr);
    folder_ = folder;
    file_ = folder_ + '/' + name_;
  }
  void tearDown() override { std::filesystem::remove_all(folder_); }

 protected:
  // With mode 0600, as a file of secrets must have.
  void write(std::string_view text) const {
    std::ofstream(file_) << text;
    CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), 0600));
  }

  std::string folder_;
  std::string file_;

 private:
  std::string name_;
};
