// The text of a map of routes, parsed.
//
// What it is: lines of `PATTERN DEST[, DEST...]` or `PATTERN error:[STATUS] TEXT`, and the look-up
//   of a recipient in them.
// What it does not know: files, when to read them again.
// Called by: RouteFile.
// Threads and lifetimes: read only once made, and may be used by several threads.
// Failure: ConfigError with file, line and remedy; one bad line refuses all of them.
//
//   # comment
//   alice@example.org     imap1.example.org
//   bob@                  imap2.example.org, imap3.example.org
//   @sales.example.org    unix:/run/sales/lmtp
//   *@*.example.org       imap4.example.org:2003
//   carol@example.org     error:5.1.6 Carol has moved to example.net
//
// The most exact pattern counts: an address, then its user whatever the domain (`bob@`, or `bob`),
// then its domain, then the patterns with * (any run of characters) and ? (any one byte) in the
// file's order. user+detail is looked up as it is and then without its detail, at each of these
// steps. Letters are alike in both cases. STATUS (RFC 3463) is 5.1.1 where none is given; one of
// class 4 lets mail wait. Two lines for one address, user or domain are an error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mailer/routes/route_address.h"
#include "mailer/routes/routes.h"

namespace lmtpq::mailer {

class RouteTable {
 public:
  static constexpr std::size_t kMaxLine = 4096;
  static constexpr std::size_t kMaxGlobs = 1000;  // each of them is tried for each recipient

  static RouteTable parse(std::string_view text, const std::string& name);

  Route find(const Mailbox& recipient) const;
  std::size_t size() const { return keys_.size() + globs_.size(); }  // lines with a route

 private:
  struct Entry {
    std::uint32_t route;  // of routes_
    std::uint32_t line;
  };
  struct Glob {
    std::string pattern;
    std::uint32_t route;
  };
  class Parser;

  const Route* find_key(const std::string& key) const;
  const Route* find_exact(const RouteAddress& address) const;
  const Route* find_glob(const RouteAddress& address) const;

  std::unordered_map<std::string, Entry> keys_;  // "local@domain", "local@", "@domain"
  std::vector<Glob> globs_;
  std::vector<Route> routes_;  // one for each text behind a pattern, however many patterns have it
};

}  // namespace lmtpq::mailer
