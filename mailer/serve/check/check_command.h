// The commands that check a configuration: `lmtpq serve --check` the daemon's, with all options of
// serve; `lmtpq check` the file of relay, deliver and serve, and that of lmtpq-milter.
//
// Both read everything as the user that will handle the mail: they change to it, for good. What is
// wrong goes to standard error, and one last line to standard output: FILE, what it has, and the
// number of errors and warnings. Exit status 0, or EX_CONFIG (78) if there is an error: no message
// is at stake.
#pragma once

#include <string>
#include <vector>

namespace lmtpq::mailer {

int check_serve(const std::vector<std::string>& arguments);
int check_all(const std::vector<std::string>& arguments);

}  // namespace lmtpq::mailer
