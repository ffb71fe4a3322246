// process_*: what the kernel reports about the daemon.

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>

#include "mailer/serve/metrics/metric_family.h"
#include "mailer/serve/metrics/metrics.h"

namespace lmtpq::mailer {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_descriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
  double number = -3;  // for ., .. and the descriptor of this scan
  while (folder && readdir(folder.get()) != nullptr) {
    ++number;
  }
  return number;
}

void add(std::vector<prometheus::MetricFamily>& families, MetricFamily family, double value) {
  family.add({}, value);
  families.push_back(std::move(family.family));
}

}  // namespace

std::vector<prometheus::MetricFamily> process_metrics(
    std::chrono::system_clock::time_point started) {
  std::vector<prometheus::MetricFamily> families;
  add(families, gauge(metric_names::kProcessStartTime),
      std::chrono::duration<double>(started.time_since_epoch()).count());
  add(families, counter(metric_names::kProcessCpu), processor_seconds());
  // proc(5): /proc/[pid]/statm, in pages.
  double size = 0;
  double resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  add(families, gauge(metric_names::kProcessVirtualMemoryBytes), size * page);
  add(families, gauge(metric_names::kProcessResidentMemoryBytes), resident * page);
  add(families, gauge(metric_names::kProcessOpenFds), open_descriptors());
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  add(families, gauge(metric_names::kProcessMaxFds), static_cast<double>(files.rlim_cur));
  return families;
}

}  // namespace lmtpq::mailer
