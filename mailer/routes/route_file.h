// The text of a route file, parsed, and the look-up of a recipient in it.
//
//   # comment
//   alice@example.org     imap1.example.org
//   bob@                  imap2.example.org, imap3.example.org
//   @sales.example.org    unix:/run/sales/lmtp
//   *@*.example.org       imap4.example.org:2003
//   carol@example.org     error:5.1.6 Carol has moved to example.net
//
// The most specific pattern counts: an address; a user in any domain (`bob@`, or `bob`); a domain;
// then the patterns with * (any characters) and ? (any one byte) in the order of the file. At each
// of these steps user+detail is looked up as it is, and then without its detail. Case does not
// matter. After `error:` comes an optional enhanced status (RFC 3463), 5.1.1 by default; with one
// of class 4 the mail is deferred. A text without one must begin with a letter and mention none,
// since a line that was meant to defer mail must not bounce it. Two lines for the same address,
// user or domain are an error.
//
// Immutable once parsed, and may be used by several threads. parse() throws ConfigError with file,
// line and remedy; one bad line rejects the whole file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mailer/routes/route_address.h"
#include "mailer/routes/routes.h"

namespace lmtpq::mailer {

class RouteFile {
 public:
  static constexpr std::size_t kMaxLine = 4096;
  static constexpr std::size_t kMaxGlobs = 1000;  // each of them is compared with each recipient

  // Throws ConfigError with what is wrong with a destination; an empty function accepts all.
  using Check = std::function<void(const Destination&)>;

  static RouteFile parse(std::string_view text, const std::string& name, const Check& check = {});

  Route find(const Mailbox& recipient) const;
  std::size_t size() const { return keys_.size() + globs_.size(); }  // number of lines with a route

 private:
  struct Entry {
    std::uint32_t route;  // index in routes_
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
  std::vector<Route> routes_;  // one for each different text after a pattern
};

}  // namespace lmtpq::mailer
