#include "mailer/settings/route_settings.h"

#include <unistd.h>

#include "tests/unit/common/scratch_file.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

class RouteSettingsTest : public ScratchFileFixture {
  CPPUNIT_TEST_SUITE(RouteSettingsTest);
  CPPUNIT_TEST(byDefaultThereAreNoRoutes);
  CPPUNIT_TEST(theOptionsFillTheSettings);
  CPPUNIT_TEST(anInvalidValueIsAnError);
  CPPUNIT_TEST(thePasswordIsTheOnlyLineOfAPrivateFile);
  CPPUNIT_TEST_SUITE_END();

 public:
  RouteSettingsTest() : ScratchFileFixture("password") {}

 private:
  static RouteSettings settings(const std::vector<std::string>& arguments) {
    RouteSettings made;
    OptionReader options(route_option_table(made));
    options.take_arguments(arguments);
    options.apply();
    check(made, options.places());
    return made;
  }
  static std::string mistake(const std::vector<std::string>& arguments) {
    try {
      settings(arguments);
      return "none";
    } catch (const ConfigError& error) {
      return error.what();
    }
  }

  void byDefaultThereAreNoRoutes() {
    const RouteSettings made = settings({});
    CPPUNIT_ASSERT(made.file.empty());
    CPPUNIT_ASSERT(made.directory.uris.empty());
    CPPUNIT_ASSERT_EQUAL(std::string("mailHost"), made.directory.attribute);
    CPPUNIT_ASSERT_EQUAL(std::string("(|(mail=%s)(mailLocalAddress=%s))"), made.directory.filter);
    CPPUNIT_ASSERT(made.directory.timeout == std::chrono::seconds(5));
    CPPUNIT_ASSERT(made.directory.cache == std::chrono::minutes(5));
    CPPUNIT_ASSERT(made.directory.negative_cache == std::chrono::minutes(1));
    CPPUNIT_ASSERT(made.directory.stale == std::chrono::minutes(10));
  }

  void theOptionsFillTheSettings() {
    const RouteSettings made = settings(
        {"--route-file=/etc/lmtpq/routes", "--route-ldap=ldap://a:1389/ ldap://[::1] ldap://b",
         "--route-ldap-base=dc=example,dc=org", "--route-ldap-filter=(uid=%u)",
         "--route-ldap-attribute=host;lang-en", "--route-ldap-bind-dn=cn=mx",
         "--route-ldap-password-file=/p", "--route-ldap-tls=starttls",
         "--route-ldap-cache-size=7"});
    CPPUNIT_ASSERT_EQUAL(std::string("/etc/lmtpq/routes"), made.file);
    CPPUNIT_ASSERT((made.directory.uris ==
                    std::vector<std::string>{"ldap://a:1389", "ldap://[::1]", "ldap://b"}));
    CPPUNIT_ASSERT_EQUAL(std::string("dc=example,dc=org"), made.directory.base);
    CPPUNIT_ASSERT_EQUAL(std::string("(uid=%u)"), made.directory.filter);
    CPPUNIT_ASSERT_EQUAL(std::string("host;lang-en"), made.directory.attribute);
    CPPUNIT_ASSERT(made.directory.tls == DirectoryTls::kStartTls);
    CPPUNIT_ASSERT_EQUAL(std::size_t{7}, made.directory.cache_size);
    CPPUNIT_ASSERT_EQUAL(std::string("ldapi://%2Frun%2Fldapi"),
                         settings({"--route-ldap=ldapi://%2Frun%2Fldapi"}).directory.uris[0]);
  }

  void anInvalidValueIsAnError() {
    const struct {
      std::vector<std::string> arguments;
      std::string words;
    } rows[] = {
        {{"--route-file=routes"}, "--route-file: expected a path that begins with /"},
        {{"--route-ldap=dir.example.org"}, "--route-ldap: expected ldap://HOST[:PORT]"},
        {{"--route-ldap=ldap://a/dc=x??sub"}, "--route-ldap: expected ldap://HOST[:PORT]"},
        {{"--route-ldap-filter=mail=%s"}, "--route-ldap-filter: unbalanced parentheses"},
        {{"--route-ldap-attribute=mail host"}, "--route-ldap-attribute: expected the name"},
        {{"--route-ldap-attribute="}, "--route-ldap-attribute: expected the name"},
        {{"--route-ldap-timeout=0s"}, "--route-ldap-timeout: expected more than 0s"},
        {{"--route-ldap-tls=may"}, "--route-ldap-tls: expected one of none, starttls"},
        {{"--route-ldap-base=dc=x"}, "--route-ldap-base: needs a directory; set route-ldap"},
        {{"--route-ldap-bind-dn=cn=x", "--route-ldap-password-file=/x"},
         "--route-ldap-bind-dn: needs a directory; set route-ldap"},
        {{"--route-ldap-base=dc=x", "--route-ldap-bind-dn=cn=x", "--route-ldap-password-file=/x"},
         "--route-ldap-base: needs a directory; set route-ldap"},
        {{"--route-ldap=ldapi://%2Fa", "--route-ldap-tls=starttls"},
         "--route-ldap-tls: needs ldap:// URIs; remove it, as ldaps:// has TLS without it"},
        {{"--route-ldap=ldap://a?mail"}, "--route-ldap: expected ldap://HOST[:PORT]"},
        {{"--route-ldap=ldap://a//"}, "--route-ldap: expected ldap://HOST[:PORT]"},
        {{"--route-ldap-cache-size=0"}, "--route-ldap-cache-size: expected a number from 1 to 10"},
        {{"--route-ldap=ldap://a", "--route-ldap-bind-dn=cn=x"},
         "--route-ldap-bind-dn: needs a password; set route-ldap-password-file"},
        {{"--route-ldap=ldap://a", "--route-ldap-password-file=/x"},
         "--route-ldap-password-file: needs an entry to log in as; set route-ldap-bind-dn"},
        {{"--route-ldap=ldap://a ldaps://b", "--route-ldap-tls=starttls"},
         "--route-ldap-tls: needs ldap:// URIs; remove it, as ldaps:// has TLS without it"},
    };
    for (const auto& row : rows) {
      const std::string words = mistake(row.arguments);
      const std::size_t colon = std::min(row.words.find(": "), row.words.size());
      CPPUNIT_ASSERT_MESSAGE(row.words + " in " + words,
                             words.starts_with(row.words.substr(0, colon)));
      CPPUNIT_ASSERT_MESSAGE(row.words + " in " + words,
                             words.find(row.words.substr(colon)) != std::string::npos);
    }
  }

  std::string password(std::string_view text) {
    write(text);
    DirectorySettings directory;
    directory.password_file = file_;
    try {
      return std::string(read_directory_password(directory, geteuid()).text());
    } catch (const ConfigError& error) {
      return std::string(error.what()).substr(file_.size());
    }
  }

  void thePasswordIsTheOnlyLineOfAPrivateFile() {
    CPPUNIT_ASSERT_EQUAL(std::string(" a b: "), password(" a b: \n"));
    CPPUNIT_ASSERT_EQUAL(std::string("ab"), password("ab\r\n"));
    CPPUNIT_ASSERT_EQUAL(std::string("ab"), password("ab"));
    // RFC 4513 section 5.1.2: the directory accepts an empty one as an anonymous login.
    for (const std::string text : {"", "\n", "\r\n", "a\nb\n"}) {
      CPPUNIT_ASSERT_EQUAL(std::string(": expected one line with the password"), password(text));
    }
    write("ab");
    CPPUNIT_ASSERT_EQUAL(0, chmod(file_.c_str(), 0644));
    DirectorySettings directory;
    directory.password_file = file_;
    CPPUNIT_ASSERT_THROW(read_directory_password(directory, geteuid()), ConfigError);
    CPPUNIT_ASSERT(read_directory_password(DirectorySettings(), geteuid()).empty());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RouteSettingsTest);
